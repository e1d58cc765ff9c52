//! What both sides do.

use super::Lesson;
use crate::explain::language::Said;

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        call: "mkdir",
        with: &["/cgroup/"],
        source: "host/src/cgroup/make.rs",
        what_for: Said {
            en: "makes a cgroup: what is in it is counted and limited together",
            es: "crea un cgroup: lo que hay en él se cuenta y se limita en conjunto",
        },
    },
    Lesson {
        call: "write",
        with: &["/cgroups.new>"],
        source: "host/src/rundir/record.rs",
        what_for: Said {
            en: "notes which cgroups are about to be made, so that the next run can remove them should this one be killed",
            es: "anota qué cgroups se van a crear, para que la próxima ejecución los elimine si esta muere",
        },
    },
    Lesson {
        call: "write",
        with: &["/memory.", "limit_in_bytes>"],
        source: "host/src/cgroup/v1.rs",
        what_for: Said {
            en: "sets how much memory all of the instance may have",
            es: "fija cuánta memoria puede tener toda la instancia",
        },
    },
    Lesson {
        call: "write",
        with: &["/memory.", "max>"],
        source: "host/src/cgroup/v2.rs",
        what_for: Said {
            en: "sets how much memory all of the instance may have",
            es: "fija cuánta memoria puede tener toda la instancia",
        },
    },
    Lesson {
        call: "write",
        with: &["/cpu."],
        source: "host/src/cgroup/v1.rs",
        what_for: Said {
            en: "sets how much processor time the instance gets in each period",
            es: "fija cuánto tiempo de procesador recibe la instancia en cada periodo",
        },
    },
    Lesson {
        call: "write",
        with: &["/pids.max>"],
        source: "host/src/cgroup/v1.rs",
        what_for: Said {
            en: "sets how many processes the instance may have: a fork bomb ends here",
            es: "fija cuántos procesos puede tener la instancia: una bomba fork acaba aquí",
        },
    },
    Lesson {
        call: "rmdir",
        with: &["cgroup"],
        source: "host/src/cgroup/remains.rs",
        what_for: Said {
            en: "removes the cgroup: only possible once nothing runs in it",
            es: "elimina el cgroup: solo es posible cuando ya nada se ejecuta en él",
        },
    },
    Lesson {
        call: "mkdir",
        with: &[],
        source: "host/src/rundir/instance.rs",
        what_for: Said {
            en: "makes the instance's directory, with what the next run needs to clear up after a crash",
            es: "crea el directorio de la instancia, con lo que la próxima ejecución necesita para limpiar si esta cae",
        },
    },
];
