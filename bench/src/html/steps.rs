//! What is done in the steps of a start.

/// In a clause, by the name that the step has in timelines.
pub(super) fn meaning(span: &str) -> Option<&'static str> {
    Some(match span {
        "cgroup" => "what limits and counts it is made",
        "clone" => "its namespaces are made, with its first process",
        "join" => "it enters the cgroup",
        "network" => "its network is made",
        "mounts" => "its files are mounted",
        "exec" => "rights are given up and a filter is set, last before the command",
        "spawn" => "the process is started that will be the machine",
        "memory" => "its memory is mapped",
        "create" => "KVM makes the machine",
        "devices" => "its devices are made",
        "kernel load" => "a kernel is put into its memory",
        "vcpu" => "its processor is set up",
        "jail" => "the machine's process gives up its rights",
        "kernel boot" => "its kernel boots",
        "init" => "its first process prepares what the command needs",
        "restore" => "the saved state of its processor and devices is put back",
        "connect" => "its first process is told by the host what to run",
        "root mount" => "its kernel mounts the image",
        _ => return None,
    })
}
