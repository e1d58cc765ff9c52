//! A process that is made before it is known what it becomes.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use entry::Failure;
use rustix::process::Pid;
use rustix::thread::futex;

use crate::fatal::Fatal;

/// Bytes of stack for a child that does nothing but system calls.
const STACK_BYTES: usize = 32 << 10;

/// Whose turn it is: the child's.
const CHILD: u32 = 1;
/// The parent's: the child waits for orders. When the child has executed a program or has ended,
/// the kernel makes the number 0 (`CLONE_CHILD_CLEARTID`, `clone(2)`), and it is the parent's for
/// good.
const PARENT: u32 = 2;

/// The memory by which both speak.
///
/// Parent and child share all memory, as threads do, but for their stacks; and not as threads do
/// they share thread-local variables too, `errno` and the allocator's among them. So they take
/// turns: whoever has not the turn does nothing but wait for it, by system calls that leave
/// `errno` alone.
struct Shared<T> {
    turn: AtomicU32,
    /// Written by the parent before it gives the turn for the second time, read by the child
    /// after that.
    orders: UnsafeCell<Option<T>>,
    /// Written by the child before it ends, read by the parent after that.
    failure: UnsafeCell<Option<Failure>>,
}

impl<T> Shared<T> {
    /// Gives the turn to the other and waits until it is given back or, to the parent, until the
    /// child is gone.
    fn give_turn(&self, to: u32) {
        self.turn.store(to, Ordering::Release);
        // Not a private futex, as the kernel's own wake-up when the child is gone is none. An
        // error is not possible: the word is there.
        let _ = futex::wake(&self.turn, futex::Flags::empty(), 1);
        self.wait_while(to);
    }

    fn wait_while(&self, turn: u32) {
        while self.turn.load(Ordering::Acquire) == turn {
            // Returns at once if the turn was given meanwhile; after any error it is looked at
            // again.
            let _ = futex::wait(&self.turn, futex::Flags::empty(), turn, None);
        }
    }
}

/// What the child's errand is called with: the way to what it is to become.
pub(crate) struct Orders<'a, T>(&'a Shared<T>);

impl<'a, T> Orders<'a, T> {
    /// Lets the parent go on, and waits until it knows.
    pub(crate) fn wait(self) -> &'a T {
        loop {
            self.0.give_turn(PARENT);
            // SAFETY: the turn is the child's now until it is gone, since the only way to give it
            // away was `self`. So the parent writes no more while the reference lives: that is
            // not longer than the errand, and so no longer than the child.
            if let Some(orders) = unsafe { &*self.0.orders.get() } {
                return orders;
            }
        }
    }
}

/// A child that waits for orders, or that failed before.
pub(crate) struct Child<T: 'static> {
    pid: Pid,
    /// Both of us use it until the child has its orders and is gone.
    birth: NonNull<Birth<T, Errand<T>>>,
}

/// What came of the orders.
pub(crate) enum Outcome {
    /// A program was executed.
    Executed,
    /// It was not, and the process ends.
    Failed(Failure),
}

/// All that a child needs until it is gone: it may outlive anything else of its parent's.
struct Birth<T, F: ?Sized> {
    shared: Shared<T>,
    stack: [MaybeUninit<u128>; STACK_BYTES / size_of::<u128>()],
    errand: F,
}

/// What a child does.
type Errand<T> = dyn Fn(Orders<'_, T>) -> Failure;

impl<T> Child<T> {
    /// Makes a child in namespaces of its own (`CLONE_NEW*`) that shares our memory: so no page
    /// table is copied and no page that is written to is copied either, what is prepared for it
    /// lies ready, and the reason of a failure needs no pipe. Returns when it waits for its
    /// orders.
    ///
    /// `errand` makes system calls and nothing else, and returns only if it fails.
    pub(crate) fn make<F>(namespaces: libc::c_int, errand: F) -> Result<Self, Fatal>
    where
        F: Fn(Orders<'_, T>) -> Failure + 'static,
    {
        let birth: *mut Birth<T, F> = Box::leak(Box::new(Birth {
            shared: Shared {
                turn: AtomicU32::new(CHILD),
                orders: UnsafeCell::new(None),
                failure: UnsafeCell::new(None),
            },
            stack: [MaybeUninit::uninit(); _],
            errand,
        }));
        // SAFETY: it was leaked, so it is there until `order` frees it. Nothing refers to all of
        // it.
        let (shared, stack) = unsafe { (&(*birth).shared, (&raw mut (*birth).stack).add(1)) };
        let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD | namespaces;
        // SAFETY: the stack is the child's alone, grows down from its end, which is aligned to 16
        // bytes, and is there until the child is gone, as is what `child_main` is given, which is
        // of the types that it expects. This process has one thread, so no lock is held by anybody. From here
        // on it is the child's turn and we only wait, until it waits itself; see `Shared`. The
        // kernel writes to `turn`, an integer that may be written to at any time.
        let pid = unsafe {
            libc::clone(
                child_main::<T, F>,
                stack.cast(),
                flags,
                birth.cast(),
                std::ptr::null_mut::<libc::pid_t>(),
                std::ptr::null_mut::<libc::c_void>(),
                shared.turn.as_ptr(),
            )
        };
        let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
            let error = std::io::Error::last_os_error();
            // SAFETY: it was made by a box above, and there is no child.
            drop(unsafe { Box::from_raw(birth) });
            return Err(Fatal::when("starting a process")(error));
        };
        shared.wait_while(CHILD);
        // SAFETY: a box is never null.
        let birth = unsafe { NonNull::new_unchecked(birth as *mut Birth<T, Errand<T>>) };
        Ok(Self { pid, birth })
    }

    /// Its process ID. Whether it runs or not, it has not been waited for.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Tells it what to become, and waits until it has or can't.
    pub(crate) fn order(self, orders: T) -> Outcome {
        let birth = self.birth.as_ptr();
        // SAFETY: it is there until it is freed below.
        let shared = unsafe { &(*birth).shared };
        // SAFETY: it is our turn: `make` has waited for that, and this is the only place that
        // gives it away. What refers to the orders is the child's, which has none yet.
        unsafe { *shared.orders.get() = Some(orders) };
        if shared.turn.load(Ordering::Acquire) == PARENT {
            shared.give_turn(CHILD);
        }
        // SAFETY: with its orders the child never gives the turn away again, so it is gone: it
        // has another memory or none. Nothing else refers to the cell.
        let failure = unsafe { *shared.failure.get() };
        // SAFETY: it was made by a box. The child is gone, and what we had borrowed of it is not
        // used any more.
        drop(unsafe { Box::from_raw(birth) });
        match failure {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Executed,
        }
    }
}

extern "C" fn child_main<T, F: Fn(Orders<'_, T>) -> Failure>(
    birth: *mut libc::c_void,
) -> libc::c_int {
    let birth = birth.cast::<Birth<T, F>>();
    // SAFETY: `make` passes a `Birth` that is there until this process is gone, of whose fields
    // these two are never written as a whole.
    let (shared, errand) = unsafe { (&(*birth).shared, &(*birth).errand) };
    let failure = errand(Orders(shared));
    // SAFETY: it is our turn until we are gone, and only then the parent reads it.
    unsafe { *shared.failure.get() = Some(failure) };
    0
}
