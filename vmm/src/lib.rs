//! Launches a workload as a KVM microVM.
