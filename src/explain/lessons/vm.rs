//! What only a VM's launch does.

use super::Lesson;
use crate::explain::language::Said;

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        call: "write",
        with: &["/tasks>"],
        source: "host/src/cgroup/entrance.rs",
        what_for: Said {
            en: "the process that becomes the monitor enters the instance's cgroup: all that the machine costs is counted there",
            es: "el proceso que será el monitor entra en el cgroup de la instancia: allí se cuenta todo lo que cuesta la máquina",
        },
    },
    Lesson {
        call: "execve",
        with: &["/proc/self/exe"],
        source: "vmm/src/launcher/process.rs",
        what_for: Said {
            en: "starts jaula once more as the monitor: the process that is the machine",
            es: "arranca jaula otra vez como monitor: el proceso que es la máquina",
        },
    },
    Lesson {
        call: "sendmsg",
        with: &["msg_controllen"],
        source: "vmm/src/monitor/channel.rs",
        what_for: Said {
            en: "hands the monitor its descriptors (kernel, disk, streams): what it has, it was given",
            es: "entrega al monitor sus descriptores (núcleo, disco, flujos): lo que tiene, se lo dieron",
        },
    },
    Lesson {
        call: "mmap",
        with: &["PROT_READ|PROT_WRITE", "MAP_ANONYMOUS|MAP_NORESERVE"],
        source: "vmm/src/memory.rs",
        what_for: Said {
            en: "the guest's memory: address space only, a page costs nothing until the guest touches it",
            es: "la memoria del huésped: solo espacio de direcciones, una página no cuesta nada hasta que el huésped la toca",
        },
    },
    Lesson {
        call: "mmap",
        with: &["MAP_PRIVATE|MAP_FIXED"],
        source: "vmm/src/memory.rs",
        what_for: Said {
            en: "puts a file's pages where guest memory is, without copying: all VMs share them until they write",
            es: "pone las páginas de un fichero donde está la memoria del huésped, sin copiar: todas las VM las comparten hasta que escriben",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_CREATE_VM"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "makes an empty machine: no memory, no processor yet",
            es: "crea una máquina vacía: aún sin memoria ni procesador",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_TSS_ADDR"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "three pages that KVM itself needs on Intel processors",
            es: "tres páginas que el propio KVM necesita en procesadores Intel",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_CREATE_IRQCHIP"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "interrupt controllers, emulated in the kernel where they are quick",
            es: "controladores de interrupciones, emulados en el núcleo, donde son rápidos",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_CREATE_PIT2"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "the timer of 1981 that a kernel still measures others by",
            es: "el temporizador de 1981 con el que un núcleo aún mide los demás",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_USER_MEMORY_REGION"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "tells KVM which of the monitor's addresses are the guest's physical memory",
            es: "dice a KVM qué direcciones del monitor son la memoria física del huésped",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_IRQFD"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "a device will interrupt the guest by writing to a descriptor",
            es: "un dispositivo interrumpirá al huésped escribiendo en un descriptor",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_IOEVENTFD"],
        source: "vmm/src/vm.rs",
        what_for: Said {
            en: "a guest's knock at a device becomes readable on a descriptor, without leaving KVM_RUN",
            es: "una llamada del huésped a un dispositivo se vuelve legible en un descriptor, sin salir de KVM_RUN",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_CREATE_VCPU"],
        source: "vmm/src/vcpu/mod.rs",
        what_for: Said {
            en: "a processor: a thread of the monitor will lend itself to it",
            es: "un procesador: un hilo del monitor se prestará a él",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_CPUID2"],
        source: "vmm/src/vcpu/cpuid.rs",
        what_for: Said {
            en: "what the processor says that it can do",
            es: "lo que el procesador dice saber hacer",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_MSRS"],
        source: "vmm/src/vcpu/msrs.rs",
        what_for: Said {
            en: "the model-specific registers as a firmware would leave them: there is no firmware",
            es: "los registros específicos del modelo como los dejaría un firmware: no hay firmware",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_SREGS"],
        source: "vmm/src/vcpu/registers.rs",
        what_for: Said {
            en: "puts the processor straight into the mode in which the kernel is entered",
            es: "pone el procesador directamente en el modo en que se entra en el núcleo",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_REGS"],
        source: "vmm/src/vcpu/registers.rs",
        what_for: Said {
            en: "the first instruction's address, and where the kernel finds its boot parameters",
            es: "la dirección de la primera instrucción, y dónde halla el núcleo sus parámetros de arranque",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_SET_LAPIC"],
        source: "vmm/src/vcpu/registers.rs",
        what_for: Said {
            en: "connects the processor's interrupt pins",
            es: "conecta las patillas de interrupción del procesador",
        },
    },
    Lesson {
        call: "unshare",
        with: &["CLONE_NEWNS"],
        source: "vmm/src/jail/namespaces.rs",
        what_for: Said {
            en: "before the guest runs, the monitor leaves the host's mounts, network, IPC and names: a guest that breaks out of its machine finds none of them",
            es: "antes de que corra el huésped, el monitor deja los montajes, la red, el IPC y los nombres del anfitrión: un huésped que escape de su máquina no hallará ninguno",
        },
    },
    Lesson {
        call: "pivot_root",
        with: &[],
        source: "vmm/src/jail/empty_root.rs",
        what_for: Said {
            en: "an empty directory becomes the monitor's root: all that it needs is open by now",
            es: "un directorio vacío pasa a ser la raíz del monitor: todo lo que necesita ya está abierto",
        },
    },
    Lesson {
        call: "setresuid",
        with: &[],
        source: "vmm/src/jail/identity.rs",
        what_for: Said {
            en: "the monitor becomes a user that no other process is, and can do nothing to any",
            es: "el monitor pasa a ser un usuario que no es ningún otro proceso, y nada puede hacerles",
        },
    },
    Lesson {
        call: "capset",
        with: &[],
        source: "vmm/src/jail/rights.rs",
        what_for: Said {
            en: "drops the rights of root",
            es: "renuncia a los derechos de root",
        },
    },
    Lesson {
        call: "seccomp",
        with: &["SECCOMP_SET_MODE_FILTER"],
        source: "vmm/src/jail/filter/table.rs",
        what_for: Said {
            en: "from here on this thread makes the system calls of its role, and any other one kills the monitor",
            es: "desde aquí este hilo solo hace las llamadas de su papel, y cualquier otra mata al monitor",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["KVM_RUN"],
        source: "vmm/src/vcpu/run.rs",
        what_for: Said {
            en: "the guest runs until it wants something that only the monitor can do, an exit",
            es: "el huésped se ejecuta hasta que quiere algo que solo el monitor puede hacer, una salida",
        },
    },
    Lesson {
        call: "clone3",
        with: &["CLONE_THREAD"],
        source: "vmm/src/monitor/mod.rs",
        what_for: Said {
            en: "a thread of the monitor's: each waits for one thing only (processor, devices, a stream)",
            es: "un hilo del monitor: cada uno espera una sola cosa (procesador, dispositivos, un flujo)",
        },
    },
];
