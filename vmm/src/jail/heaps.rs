/// Keeps glibc's allocator (`mallopt(3)`) from opening files when it has to decide something: in a jail
/// there are none, and a filter kills who tries. To be called before there are other threads.
pub fn settle_heaps() {
    // Where there are many threads, it would look for the number of CPUs in `/sys`, to know how many
    // heaps to have.
    const HEAPS: libc::c_int = 4;
    // When it has given back what is free at the end of a thread's heap, it would look in `/proc/sys` for
    // how. It gives none back, then; what is large, 128 KiB and more, is in no heap.
    const NEVER: libc::c_int = -1;
    // SAFETY: takes numbers. It fails only for those that are out of bounds.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER);
    }
}
