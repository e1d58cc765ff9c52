//! From a profile to the program that the kernel runs at each system call.
//!
//! Conditions on arguments are seccompiler's. What leads to them is a tree over the numbers of
//! the calls, where seccompiler makes a chain that compares with one number after another:
//! loading a filter has the kernel run it once for each call that there is (to remember which
//! are always allowed), which costs 0.5 ms with a chain and 0.1 ms with a tree. Also, a
//! profile has several actions and two architectures, and seccompiler's filter one of each.

use std::collections::HashMap;

use entry::Filter;
use seccompiler::{BpfProgram, SeccompAction, SeccompRule, sock_filter};

use super::architecture::Architecture;
use super::profile::{Profile, Rule};

/// Why a profile has no program.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A condition can't be expressed.
    #[error(transparent)]
    Condition(#[from] seccompiler::BackendError),
    /// The kernel takes at most `BPF_MAXINSNS` instructions, `include/uapi/linux/bpf_common.h`.
    #[error("it needs {0} instructions, and the kernel takes at most 4096")]
    TooLarge(usize),
}

const MAX_INSTRUCTIONS: usize = 4096;

/// Numbers from here on are those of the x32 interface, `__X32_SYSCALL_BIT` of
/// `arch/x86/include/uapi/asm/unistd.h`. It has the calls of x86-64 again: nothing that is refused
/// there may come in here.
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data` of `include/uapi/linux/seccomp.h`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The program of a profile.
pub(super) fn compile(profile: &Profile) -> Result<Filter, CompileError> {
    let rules = by_call(&profile.rules);
    let mut program = vec![load(ARCHITECTURE)];
    for architecture in &profile.architectures {
        let mut branch = vec![load(NUMBER)];
        branch.extend(tree(&leaves(profile, &rules, *architecture)?)?);
        // Conditional jumps are too short for a branch.
        program.push(jump_if_equal(architecture.audit(), 1, 0));
        program.push(jump(length(&branch)?));
        program.extend(branch);
    }
    program.push(act(&SeccompAction::KillProcess));
    if program.len() > MAX_INSTRUCTIONS {
        return Err(CompileError::TooLarge(program.len()));
    }
    let instruction = |sock_filter { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k };
    Ok(Filter::new(program.into_iter().map(instruction).collect()))
}

/// The rules for each call.
fn by_call(rules: &[Rule]) -> HashMap<&str, Vec<&Rule>> {
    let mut by_call = HashMap::<_, Vec<_>>::new();
    for rule in rules {
        for call in &rule.calls {
            by_call.entry(call.as_ref()).or_default().push(rule);
        }
    }
    by_call
}

/// What is done for all calls from a number on, up to that of the next leaf.
struct Leaf {
    first: u32,
    program: BpfProgram,
}

/// What is done for all numbers, ascending from 0. Neighbours for which the same is done are one.
fn leaves(
    profile: &Profile,
    rules: &HashMap<&str, Vec<&Rule>>,
    architecture: Architecture,
) -> Result<Vec<Leaf>, CompileError> {
    let default = vec![act(&profile.default)];
    let mut leaves = vec![Leaf {
        first: 0,
        program: default.clone(),
    }];
    let mut push = |first, program: BpfProgram| match leaves.last_mut() {
        Some(last) if last.program == program => {}
        Some(last) if last.first == first => last.program = program,
        _ => leaves.push(Leaf { first, program }),
    };
    let mut after_last = 0;
    for (number, name) in architecture.calls() {
        if let Some(rules) = rules.get(name) {
            if after_last < number {
                push(after_last, default.clone());
            }
            push(number, for_call(rules, &profile.default)?);
            after_last = number + 1;
        }
    }
    let unknown = vec![act(&SeccompAction::Errno(libc::ENOSYS as u32))];
    // As runc has it: what a list that refuses by default does not go up to is newer than it.
    let newer = match profile.default {
        SeccompAction::Errno(_) => unknown.clone(),
        _ => default,
    };
    push(after_last, newer);
    push(X32, unknown);
    Ok(leaves)
}

/// What is done for one call.
fn for_call(rules: &[&Rule], default: &SeccompAction) -> Result<BpfProgram, CompileError> {
    let mut program = BpfProgram::new();
    for rule in rules.iter().filter(|rule| !rule.conditions.is_empty()) {
        // It ends where its conditions match, and jumps over one instruction where not.
        program.append(&mut SeccompRule::new(rule.conditions.clone())?.into());
        program.push(act(&rule.action));
    }
    let otherwise = rules.iter().find(|rule| rule.conditions.is_empty());
    program.push(act(otherwise.map_or(default, |rule| &rule.action)));
    Ok(program)
}

/// Finds the leaf of the number that is loaded by halving what is left.
fn tree(leaves: &[Leaf]) -> Result<BpfProgram, CompileError> {
    let mut tree = Tree::default();
    tree.node(leaves)?;
    tree.backwards.reverse();
    Ok(tree.backwards)
}

/// A tree that is written from its end to its beginning, since jumps only lead forward: so it is
/// known where each leads. Leaves of one instruction, most of which are the same few, are shared
/// as far as jumps reach. The kernel takes half the time to load what is half as long.
#[derive(Default)]
struct Tree {
    /// The last instruction first.
    backwards: BpfProgram,
    /// Where the nearest leaf of one instruction is that returns this.
    returns: HashMap<u32, usize>,
}

impl Tree {
    /// How far a conditional jump leads, less one that may be needed to lead the other way farther.
    const REACH: usize = u8::MAX as usize - 1;

    /// Writes the tree over these leaves. Returns where it begins.
    fn node(&mut self, leaves: &[Leaf]) -> Result<usize, CompileError> {
        if let [leaf] = leaves {
            return Ok(self.leaf(&leaf.program));
        }
        let (lower, upper) = leaves.split_at(leaves.len() / 2);
        let Some(pivot) = upper.first() else {
            return Ok(0);
        };
        let upper = self.node(upper)?;
        let lower = self.node(lower)?;
        let upper = self.within_reach(upper)?;
        let lower = self.within_reach(lower)?;
        let [at_least, below] = [upper, lower].map(|target| self.distance(target) as u8);
        Ok(self.push(jump_if_at_least(pivot.first, at_least, below)))
    }

    fn leaf(&mut self, program: &[sock_filter]) -> usize {
        let [only] = program else {
            self.backwards.extend(program.iter().rev().cloned());
            return self.backwards.len() - 1;
        };
        match self.returns.get(&only.k) {
            Some(&at) if self.distance(at) < Self::REACH => at,
            _ => {
                let at = self.push(only.clone());
                self.returns.insert(only.k, at);
                at
            }
        }
    }

    /// Where a conditional jump that is written next gets to `target` by.
    fn within_reach(&mut self, target: usize) -> Result<usize, CompileError> {
        match self.distance(target) {
            ..Self::REACH => Ok(target),
            far => {
                let far = u32::try_from(far).map_err(|_| CompileError::TooLarge(far))?;
                Ok(self.push(jump(far)))
            }
        }
    }

    /// From the instruction that is written next.
    fn distance(&self, target: usize) -> usize {
        self.backwards.len() - 1 - target
    }

    fn push(&mut self, instruction: sock_filter) -> usize {
        self.backwards.push(instruction);
        self.backwards.len() - 1
    }
}

fn length(program: &[sock_filter]) -> Result<u32, CompileError> {
    u32::try_from(program.len()).map_err(|_| CompileError::TooLarge(program.len()))
}

// Instructions, `include/uapi/linux/bpf_common.h`. Jumps count from the next instruction.

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn act(action: &SeccompAction) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, u32::from(action.clone()))
}

fn jump(distance: u32) -> sock_filter {
    statement(libc::BPF_JMP | libc::BPF_JA, distance)
}

fn jump_if_equal(value: u32, jt: u8, jf: u8) -> sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    sock_filter {
        jt,
        jf,
        ..statement(code, value)
    }
}

fn jump_if_at_least(value: u32, jt: u8, jf: u8) -> sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    sock_filter {
        jt,
        jf,
        ..statement(code, value)
    }
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}
