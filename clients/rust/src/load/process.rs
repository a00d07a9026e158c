//! What the system says of this process: how many sockets it may open, and the processor time that it
//! has used. Where a system does not say, nothing is claimed.

use std::time::Duration;

/// Descriptors beside those of sockets: the runtimes' own, the terminal's, some files.
const OTHER_DESCRIPTORS: u64 = 64;

/// Allows as many open sockets as the system lets us; says how many that are if they do not suffice.
#[cfg(unix)]
pub(crate) fn allow_sockets(sockets: usize) -> Result<(), u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = sockets as u64 + OTHER_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    // None is no limit.
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if enough(limit.current) {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    if enough(current) {
        Ok(())
    } else {
        Err(current
            .unwrap_or_default()
            .saturating_sub(OTHER_DESCRIPTORS))
    }
}

/// Elsewhere the system tells when it is too late.
#[cfg(not(unix))]
pub(crate) fn allow_sockets(_: usize) -> Result<(), u64> {
    let _ = OTHER_DESCRIPTORS;
    Ok(())
}

/// The processor time of all threads of this process.
#[cfg(unix)]
pub(crate) fn cpu() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}

/// Not known here.
#[cfg(not(unix))]
pub(crate) fn cpu() -> Option<Duration> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn too_many_sockets_are_refused_with_their_limit() {
        assert_eq!(allow_sockets(1), Ok(()));
        let huge = usize::MAX / 4;
        assert!(allow_sockets(huge).is_err_and(|limit| limit > 0 && limit < huge as u64));
    }

    #[test]
    fn work_takes_processor_time() {
        let before = cpu().unwrap();
        let mut sum = 0_u64;
        while cpu().unwrap() <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
