//! The limit on open files. Every connection is one, and so is every file of the data directory: a log
//! that cannot open its next segment has to stop the shop, so connections must never take the last one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as it goes for this process, and returns it. Where nothing limits it: the most
/// that can be said.
pub(crate) fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    // The limit as it was is no reason not to start.
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX)
}

/// How many connections may be open at once: at most `wanted`, and half of the files that may be open,
/// but one in any case.
pub(crate) fn connections_max(wanted: u32, files_max: u64) -> u32 {
    let half = u32::try_from(files_max / 2).unwrap_or(u32::MAX);
    if half < wanted {
        tracing::warn!(
            connections_max = half,
            files_max,
            "fewer connections than usual are served: raise the limit on open files (ulimit -n)"
        );
    }
    wanted.min(half).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_data() {
        for (wanted, files_max, served) in
            [(4_096, u64::MAX, 4_096), (4_096, 8_192, 4_096), (4_096, 1_024, 512), (4_096, 0, 1)]
        {
            assert_eq!(connections_max(wanted, files_max), served, "{files_max}");
        }
        assert!(raise() > 0);
        assert_eq!(raise(), raise(), "it is as high as it goes");
    }
}
