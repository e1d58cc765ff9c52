//! What the host gives an instance: its cgroup and its directory.
