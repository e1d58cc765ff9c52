//! Launches a workload as a Linux container.
