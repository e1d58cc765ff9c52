//! What only a container's launch does.

use super::Lesson;
use crate::explain::language::Said;

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        call: "clone3",
        with: &["CLONE_NEWPID"],
        source: "container/src/clone.rs",
        what_for: Said {
            en: "starts one process that sees mounts, processes, network, names and IPC of its own: this is the container",
            es: "arranca un proceso que ve sus propios montajes, procesos, red, nombres e IPC: esto es el contenedor",
        },
    },
    Lesson {
        call: "write",
        with: &["/tasks>"],
        source: "host/src/cgroup/entrance.rs",
        what_for: Said {
            en: "the process enters its cgroup; from here on its limits hold",
            es: "el proceso entra en su cgroup; desde aquí rigen sus límites",
        },
    },
    Lesson {
        call: "unshare",
        with: &["CLONE_NEWCGROUP"],
        source: "container/src/namespaces.rs",
        what_for: Said {
            en: "hides the rest of the cgroup tree: the instance's own cgroup looks like the root",
            es: "oculta el resto del árbol de cgroups: el de la instancia parece la raíz",
        },
    },
    Lesson {
        call: "ioctl",
        with: &["SIOCSIFFLAGS"],
        source: "entry/src/stage.rs",
        what_for: Said {
            en: "brings the loopback device of the new network up: a fresh one is down",
            es: "activa la interfaz de bucle local de la red nueva: recién creada está inactiva",
        },
    },
    Lesson {
        call: "mount",
        with: &["MS_PRIVATE"],
        source: "entry/src/stage.rs",
        what_for: Said {
            en: "cuts mounts off from the host's, so that none made here appears there",
            es: "separa los montajes de los del anfitrión, para que ninguno hecho aquí aparezca allí",
        },
    },
    Lesson {
        call: "mount",
        with: &["\"overlay\""],
        source: "entry/src/rootfs.rs",
        what_for: Said {
            en: "lays a writable layer over the image, which itself is never written to",
            es: "pone una capa escribible sobre la imagen, en la que nunca se escribe",
        },
    },
    Lesson {
        call: "mount",
        with: &["\"tmpfs\""],
        source: "container/src/scratch.rs",
        what_for: Said {
            en: "holds in memory what the container will write; it goes with the mount namespace",
            es: "guarda en memoria lo que el contenedor escriba; desaparece con el espacio de montajes",
        },
    },
    Lesson {
        call: "mkdir",
        with: &["/upper\""],
        source: "container/src/scratch.rs",
        what_for: Said {
            en: "the directory that becomes the overlay's upper layer: all that the command writes is in it",
            es: "el directorio que será la capa superior del overlay: en él está todo lo que la orden escriba",
        },
    },
    Lesson {
        call: "mkdir",
        with: &["/work\""],
        source: "container/src/scratch.rs",
        what_for: Said {
            en: "where the overlay prepares a file before it appears whole",
            es: "donde el overlay prepara un fichero antes de que aparezca entero",
        },
    },
    Lesson {
        call: "setsid",
        with: &[],
        source: "entry/src/stage.rs",
        what_for: Said {
            en: "leaves the caller's session, and with it the caller's terminal",
            es: "deja la sesión de quien llama, y con ella su terminal",
        },
    },
    Lesson {
        call: "keyctl",
        with: &["KEYCTL_JOIN_SESSION_KEYRING"],
        source: "entry/src/stage.rs",
        what_for: Said {
            en: "takes an empty keyring: the kernel's keys know no namespaces",
            es: "toma un llavero vacío: las claves del núcleo no conocen espacios de nombres",
        },
    },
    Lesson {
        call: "fsopen",
        with: &["\"proc\""],
        source: "entry/src/scenery.rs",
        what_for: Said {
            en: "a /proc of its own shows only the container's processes",
            es: "un /proc propio muestra solo los procesos del contenedor",
        },
    },
    Lesson {
        call: "fsopen",
        with: &["\"sysfs\""],
        source: "entry/src/scenery.rs",
        what_for: Said {
            en: "/sys, read-only: it shows the host's hardware, which a container shares",
            es: "/sys, solo de lectura: muestra el hardware del anfitrión, que el contenedor comparte",
        },
    },
    Lesson {
        call: "fsopen",
        with: &["\"devpts\""],
        source: "entry/src/scenery.rs",
        what_for: Said {
            en: "pseudoterminals of its own, so that none of the host's can be reached",
            es: "pseudoterminales propios, para que no se alcance ninguno del anfitrión",
        },
    },
    Lesson {
        call: "mknodat",
        with: &["\"null\""],
        source: "entry/src/devices.rs",
        what_for: Said {
            en: "the few device nodes that every program expects; no disk, no memory of the host is among them",
            es: "los pocos dispositivos que todo programa espera; ningún disco ni memoria del anfitrión está entre ellos",
        },
    },
    Lesson {
        call: "open_tree",
        with: &["\"empty\""],
        source: "entry/src/masks.rs",
        what_for: Said {
            en: "an empty directory to lay over what tells too much of the host (a mask)",
            es: "un directorio vacío para cubrir lo que revela demasiado del anfitrión (una máscara)",
        },
    },
    Lesson {
        call: "mount_setattr",
        with: &[],
        source: "entry/src/masks.rs",
        what_for: Said {
            en: "makes parts of /proc read-only: writing there would change the host's kernel",
            es: "hace de solo lectura partes de /proc: escribir allí cambiaría el núcleo del anfitrión",
        },
    },
    Lesson {
        call: "pivot_root",
        with: &[],
        source: "entry/src/rootfs.rs",
        what_for: Said {
            en: "makes the overlay the root, and the host's root a mount that can be let go",
            es: "convierte el overlay en la raíz, y la raíz del anfitrión en un montaje del que desprenderse",
        },
    },
    Lesson {
        call: "umount2",
        with: &["MNT_DETACH"],
        source: "entry/src/rootfs.rs",
        what_for: Said {
            en: "lets go of the host's files: there is no path to them any more",
            es: "suelta los ficheros del anfitrión: ya no hay camino hasta ellos",
        },
    },
    Lesson {
        call: "sethostname",
        with: &[],
        source: "entry/src/last_steps.rs",
        what_for: Said {
            en: "a name of its own, which the host does not see",
            es: "un nombre propio, que el anfitrión no ve",
        },
    },
    Lesson {
        call: "close_range",
        with: &[],
        source: "entry/src/descriptors.rs",
        what_for: Said {
            en: "closes every descriptor but the three streams: one that leaks is a door to the host",
            es: "cierra todo descriptor salvo los tres flujos: uno que se filtre es una puerta al anfitrión",
        },
    },
    Lesson {
        call: "prctl",
        with: &["PR_CAPBSET_DROP"],
        source: "entry/src/privileges.rs",
        what_for: Said {
            en: "gives up a capability for good; of root's forty, docker's fourteen stay",
            es: "renuncia para siempre a una capacidad; de las cuarenta de root quedan las catorce de docker",
        },
    },
    Lesson {
        call: "setresuid",
        with: &[],
        source: "entry/src/credentials.rs",
        what_for: Said {
            en: "becomes the user that the command is to run as",
            es: "pasa a ser el usuario con el que debe ejecutarse la orden",
        },
    },
    Lesson {
        call: "prctl",
        with: &["PR_SET_NO_NEW_PRIVS"],
        source: "entry/src/last_steps.rs",
        what_for: Said {
            en: "from here on no set-user-ID program can give more rights",
            es: "desde aquí ningún programa set-user-ID puede dar más derechos",
        },
    },
    Lesson {
        call: "prctl",
        with: &["PR_SET_PDEATHSIG"],
        source: "entry/src/ties.rs",
        what_for: Said {
            en: "ties the container to jaula: it is killed when jaula dies",
            es: "ata el contenedor a jaula: muere cuando jaula muere",
        },
    },
    Lesson {
        call: "seccomp",
        with: &["SECCOMP_SET_MODE_FILTER"],
        source: "container/src/seccomp/default_profile.rs",
        what_for: Said {
            en: "installs the filter: of the kernel's calls, those that no ordinary program needs are refused from now on",
            es: "instala el filtro: de las llamadas del núcleo, las que ningún programa corriente necesita se rechazan desde ahora",
        },
    },
    Lesson {
        call: "execve",
        with: &[],
        source: "entry/src/exec.rs",
        what_for: Said {
            en: "becomes the command; the doorbell rang just before",
            es: "se convierte en la orden; el timbre sonó justo antes",
        },
    },
    Lesson {
        call: "waitid",
        with: &[],
        source: "container/src/process.rs",
        what_for: Said {
            en: "takes the exit status; with the process, its namespaces and mounts are gone",
            es: "recoge el código de salida; con el proceso desaparecen sus espacios de nombres y montajes",
        },
    },
];
