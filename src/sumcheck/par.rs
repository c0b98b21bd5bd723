//! The one place that knows whether there is a thread pool.
//!
//! Results never depend on the number of threads: work is split by index, field addition is exact,
//! and every result is put in its place.
//!
//! A thread that waits for a loop takes up other work, so a loop must not be called with a lock held.

use std::sync::OnceLock;
#[cfg(feature = "parallel")]
use std::sync::atomic::{AtomicUsize, Ordering};

/// `[f(0), …, f(count − 1)]`.
pub fn map<T: Send>(count: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().map(f).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        (0..count).map(f).collect()
    }
}

/// Calls `f(state, item)` for every item, where calls on one thread share a `state`: buffers that none of them keeps.
pub fn for_items_init<S, I: Send>(
    items: Vec<I>,
    init: impl Fn() -> S + Sync + Send,
    f: impl Fn(&mut S, I) + Sync + Send,
) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        items.into_par_iter().for_each_init(init, f);
    }
    #[cfg(not(feature = "parallel"))]
    {
        let mut state = init();
        items.into_iter().for_each(|item| f(&mut state, item));
    }
}

/// Calls `f(i, chunk)` for the `i`-th chunk of `size` entries of `data`; the last may be shorter.
pub fn for_chunks_mut<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
    #[cfg(not(feature = "parallel"))]
    {
        data.chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
}

/// `[f(0, item₀), f(1, item₁), …]`.
pub fn map_items<I: Send, T: Send>(items: Vec<I>, f: impl Fn(usize, I) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        items.into_par_iter().enumerate().map(|(i, item)| f(i, item)).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        items.into_iter().enumerate().map(|(i, item)| f(i, item)).collect()
    }
}

/// Items that are too cheap to be a task of their own.
#[cfg(feature = "parallel")]
const BATCH: usize = 1 << 9;

/// Both components of `f(0), …, f(count − 1)`, for an `f` that is cheap.
pub fn unzip<A: Send, B: Send>(count: usize, f: impl Fn(usize) -> (A, B) + Sync + Send) -> (Vec<A>, Vec<B>) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        (0..count).into_par_iter().with_min_len(BATCH).map(f).unzip_into_vecs(&mut a, &mut b);
        (a, b)
    }
    #[cfg(not(feature = "parallel"))]
    {
        (0..count).map(f).unzip()
    }
}

/// `[f(0), …, f(count − 1)]` for an `f` that is cheap.
pub fn map_cheap<T: Send>(count: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().with_min_len(BATCH).map(f).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        (0..count).map(f).collect()
    }
}

/// `count` times the same value, written by all threads: new memory is costly to touch.
pub fn filled<T: Copy + Send + Sync>(count: usize, value: T) -> Vec<T> {
    map_cheap(count, |_| value)
}

/// Calls of [`enter`] that the pool is busy with.
#[cfg(feature = "parallel")]
static ENTERED: AtomicUsize = AtomicUsize::new(0);

/// `f()` on a thread of the pool. Every parallel loop that is called from outside of the pool has to wake a thread and to
/// be woken by it, which takes longer than many of them do.
///
/// No more calls at once than there are threads: one that waits for a loop may take up another call, on the same stack. The
/// others run where they are called.
pub fn enter<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "parallel")]
    {
        /// Gives the place back, also where `f` panics.
        struct Place;
        impl Drop for Place {
            fn drop(&mut self) {
                ENTERED.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if rayon::current_thread_index().is_some() {
            return f();
        }
        let free = ENTERED.fetch_add(1, Ordering::Relaxed) < threads();
        let _place = Place;
        if free { rayon::scope(|_| f()) } else { f() }
    }
    #[cfg(not(feature = "parallel"))]
    {
        f()
    }
}

/// What `cell` holds; if that is nothing yet, `f()`, which may call loops: no lock is held while it does. Threads that come
/// at once each call it, and one of their equal results is kept.
pub fn get_or_compute<T>(cell: &OnceLock<T>, f: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(value) => value,
        None => {
            let value = f();
            cell.get_or_init(|| value)
        }
    }
}

/// `f()`, with one thread for all that it does.
pub fn alone<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "parallel")]
    {
        match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
            Ok(pool) => pool.install(f),
            Err(_) => f(),
        }
    }
    #[cfg(not(feature = "parallel"))]
    {
        f()
    }
}

/// Number of threads that [`map`] may use.
#[must_use]
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    {
        rayon::current_num_threads()
    }
    #[cfg(not(feature = "parallel"))]
    {
        1
    }
}

/// Both results, computed side by side where there are threads.
pub fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "parallel")]
    {
        rayon::join(a, b)
    }
    #[cfg(not(feature = "parallel"))]
    {
        (a(), b())
    }
}

#[cfg(all(test, feature = "parallel"))]
mod tests {
    use std::sync::{Arc, OnceLock, mpsc};
    use std::time::Duration;

    use super::*;

    /// With the cell locked while its loops run, a thread that waits for them takes up another call and waits for itself.
    #[test]
    fn calls_at_once_do_not_wait_for_one_another() {
        let cell: Arc<OnceLock<u64>> = Arc::default();
        let (sender, receiver) = mpsc::channel();
        let sum = || -> u64 { map(64, |i| map_cheap(1 << 12, |j| (i * j) as u64).iter().sum::<u64>()).iter().sum() };
        let expected = sum();
        for _ in 0..16 {
            let (cell, sender) = (Arc::clone(&cell), sender.clone());
            std::thread::spawn(move || sender.send(enter(|| *get_or_compute(&cell, sum))));
        }
        for _ in 0..16 {
            let found = receiver.recv_timeout(Duration::from_secs(120)).expect("nobody waits for another");
            assert_eq!(found, expected);
        }
    }
}
