//! The rules as a program for the kernel's BPF machine, type `BPF_PROG_TYPE_CGROUP_DEVICE`.
//!
//! It is given a `struct bpf_cgroup_dev_ctx` (`include/uapi/linux/bpf.h`) in register 1 and
//! answers in register 0: 1 to allow, 0 to deny. The instructions are those of
//! `Documentation/bpf/standardization/instruction-set.rst`.

use super::{ANY_USE, DeviceAccess, DeviceKind, DeviceRule, DeviceRules};

/// One instruction, as the kernel reads it: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    opcode: u8,
    /// The destination in the lower half, the source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The registers that the program uses, by what is in them.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Register {
    Answer = 0,
    Context = 1,
    Kind = 2,
    Access = 3,
    Major = 4,
    Minor = 5,
    Forbidden = 6,
}

// Offsets of `struct bpf_cgroup_dev_ctx`.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;

// Its access_type holds the access in the upper 16 bits, the kind in the lower.
const ACCESS_SHIFT: i32 = 16;
const KIND_MASK: i32 = 0xffff;

// BPF_DEVCG_DEV_*.
const BLOCK: i32 = 1;
const CHAR: i32 = 2;

// BPF_DEVCG_ACC_*.
const MAKE: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

const fn instruction(
    opcode: u8,
    to: Register,
    from: Register,
    offset: i16,
    value: i32,
) -> Instruction {
    Instruction {
        opcode,
        registers: (from as u8) << 4 | to as u8,
        offset,
        immediate: value,
    }
}

/// Loads a field of the context: LDX | MEM | W.
const fn load(to: Register, field: i16) -> Instruction {
    instruction(0x61, to, Register::Context, field, 0)
}

/// Copies a register: ALU64 | MOV | X.
const fn copy(to: Register, from: Register) -> Instruction {
    instruction(0xbf, to, from, 0, 0)
}

// The source of instructions with a constant must be register 0, which is the answer's.
const NONE: Register = Register::Answer;

/// ALU64 | MOV | K.
const fn set(to: Register, value: i32) -> Instruction {
    instruction(0xb7, to, NONE, 0, value)
}

/// ALU64 | AND | K.
const fn and(to: Register, mask: i32) -> Instruction {
    instruction(0x57, to, NONE, 0, mask)
}

/// ALU64 | RSH | K.
const fn shift_right(to: Register, bits: i32) -> Instruction {
    instruction(0x77, to, NONE, 0, bits)
}

/// Jumps over `skipped` instructions if the register is not `value`: JMP | JNE | K.
const fn skip_unless(register: Register, value: i32, skipped: i16) -> Instruction {
    instruction(0x55, register, NONE, skipped, value)
}

/// Ends with the answer: JMP | EXIT.
const EXIT: Instruction = instruction(0x95, NONE, NONE, 0, 0);

/// Compiles the rules.
pub(super) fn compile(rules: &DeviceRules) -> Vec<Instruction> {
    use Register::{Access, Answer, Kind, Major, Minor};
    let mut program = vec![
        load(Kind, ACCESS_TYPE),
        copy(Access, Kind),
        shift_right(Access, ACCESS_SHIFT),
        and(Kind, KIND_MASK),
        load(Major, MAJOR),
        load(Minor, MINOR),
    ];
    for rule in &rules.0 {
        append(&mut program, rule);
    }
    program.extend([set(Answer, 0), EXIT]);
    program
}

/// Appends: if all of the rule's conditions are met, allow; else go on.
fn append(program: &mut Vec<Instruction>, rule: &DeviceRule) {
    use Register::{Access, Answer, Forbidden, Kind, Major, Minor};
    let kind = match rule.kind {
        DeviceKind::Block => BLOCK,
        DeviceKind::Char => CHAR,
    };
    let mut conditions = vec![(Kind, kind)];
    if rule.access != ANY_USE {
        conditions.push((Forbidden, 0));
    }
    // A number above i32::MAX is extended to one that no device has: it is denied. The kernel's
    // are of 12 and 20 bits.
    conditions.extend(rule.major.map(|major| (Major, major as i32)));
    conditions.extend(rule.minor.map(|minor| (Minor, minor as i32)));
    if rule.access != ANY_USE {
        // Before the conditions, so that they are all jumps to the same place.
        program.push(copy(Forbidden, Access));
        program.push(and(Forbidden, !bits(rule.access)));
    }
    let count = conditions.len() as i16;
    for (index, (register, value)) in conditions.into_iter().enumerate() {
        // The conditions that are left, and the two instructions that allow.
        program.push(skip_unless(register, value, count - index as i16 - 1 + 2));
    }
    program.extend([set(Answer, 1), EXIT]);
}

fn bits(access: DeviceAccess) -> i32 {
    [
        (access.make, MAKE),
        (access.read, READ),
        (access.write, WRITE),
    ]
    .into_iter()
    .filter(|(allowed, _)| *allowed)
    .map(|(_, bit)| bit)
    .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is asked of the program.
    #[derive(Clone, Copy, Debug)]
    struct Question {
        kind: i32,
        access: i32,
        major: u32,
        minor: u32,
    }

    /// Runs the program as the kernel would.
    fn answer(program: &[Instruction], question: Question) -> u64 {
        let context = [
            (question.access << ACCESS_SHIFT | question.kind) as u32,
            question.major,
            question.minor,
        ];
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        loop {
            let Instruction {
                opcode,
                registers: pair,
                offset,
                immediate,
            } = program[at];
            let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
            let value = i64::from(immediate) as u64;
            at += 1;
            match opcode {
                0x61 => registers[to] = context[offset as usize / 4].into(),
                0xbf => registers[to] = registers[from],
                0xb7 => registers[to] = value,
                0x57 => registers[to] &= value,
                0x77 => registers[to] >>= value,
                0x55 if registers[to] != value => at += offset as usize,
                0x55 => {}
                0x95 => return registers[0],
                other => panic!("opcode {other:#x}"),
            }
        }
    }

    fn allows(rule: &DeviceRule, question: Question) -> bool {
        let kind = match rule.kind {
            DeviceKind::Block => BLOCK,
            DeviceKind::Char => CHAR,
        };
        kind == question.kind
            && question.access & !bits(rule.access) == 0
            && rule.major.is_none_or(|major| major == question.major)
            && rule.minor.is_none_or(|minor| minor == question.minor)
    }

    #[test]
    fn an_instruction_is_as_the_kernel_reads_it() {
        assert_eq!(size_of::<Instruction>(), 8);
        let expected = Instruction {
            opcode: 0x61,
            registers: 0x14,
            offset: 4,
            immediate: 0,
        };
        assert_eq!(load(Register::Major, MAJOR), expected);
    }

    #[test]
    fn one_rule_is_these_instructions() {
        let read = DeviceAccess {
            read: true,
            write: false,
            make: false,
        };
        let rules = DeviceRules(Vec::new()).and(DeviceKind::Block, 8, 1, read);
        use Register::{Access, Answer, Forbidden, Kind, Major, Minor};
        assert_eq!(
            compile(&rules)[6..],
            [
                copy(Forbidden, Access),
                and(Forbidden, !2),
                skip_unless(Kind, 1, 5),
                skip_unless(Forbidden, 0, 4),
                skip_unless(Major, 8, 3),
                skip_unless(Minor, 1, 2),
                set(Answer, 1),
                EXIT,
                set(Answer, 0),
                EXIT,
            ]
        );
    }

    #[test]
    fn the_usual_devices_may_be_used_and_others_only_made() {
        let program = compile(&DeviceRules::usual());
        for (kind, access, major, minor, expected) in [
            (CHAR, READ | WRITE, 1, 3, 1),
            (CHAR, READ, 136, 77, 1),
            (CHAR, READ, 143, 0, 1),
            (CHAR, READ, 144, 0, 0),
            // /dev/mem.
            (CHAR, READ, 1, 1, 0),
            (CHAR, MAKE, 1, 1, 1),
            (CHAR, MAKE | READ, 1, 1, 0),
            (BLOCK, READ, 8, 0, 0),
            (BLOCK, MAKE, 8, 0, 1),
            (BLOCK, READ, 1, 3, 0),
        ] {
            let question = Question {
                kind,
                access,
                major,
                minor,
            };
            assert_eq!(answer(&program, question), expected, "{question:?}");
        }
    }

    fn access() -> impl Strategy<Value = DeviceAccess> {
        any::<[bool; 3]>().prop_map(|[read, write, make]| DeviceAccess { read, write, make })
    }

    fn kind() -> impl Strategy<Value = DeviceKind> {
        prop_oneof![Just(DeviceKind::Char), Just(DeviceKind::Block)]
    }

    fn number() -> impl Strategy<Value = Option<u32>> {
        prop_oneof![Just(None), (0u32..4).prop_map(Some)]
    }

    prop_compose! {
        fn rule()(kind in kind(), major in number(), minor in number(), access in access()) -> DeviceRule {
            DeviceRule { kind, major, minor, access }
        }
    }

    prop_compose! {
        fn question()(kind in 1..3, access in 1..8, major in 0u32..4, minor in 0u32..4) -> Question {
            Question { kind, access, major, minor }
        }
    }

    proptest! {
        #[test]
        fn the_program_allows_what_a_rule_allows(
            rules in prop::collection::vec(rule(), 0..8),
            question in question(),
        ) {
            let expected = rules.iter().any(|rule| allows(rule, question));
            let program = compile(&DeviceRules(rules));
            prop_assert_eq!(answer(&program, question), u64::from(expected));
        }
    }
}
