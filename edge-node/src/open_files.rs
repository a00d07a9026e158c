//! How many files this process may have open: a connection is one. It raises the soft limit to the hard one,
//! which takes no rights, and never fails: an edge with fewer serves fewer.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::limits::{MAX_HTTP_CONNECTIONS, MAX_OPS_CONNECTIONS, OTHER_FILES};

/// Raises the limit, and says so in the log if so many connections need more.
pub(crate) fn raise_limit(max_connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    let needed = needed(max_connections);
    // None is no limit.
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "open files are fewer than --max-connections needs: raise the hard limit (LimitNOFILE, ulimit -Hn) or lower the flag"
        );
    }
}

fn needed(max_connections: usize) -> u64 {
    (max_connections + MAX_HTTP_CONNECTIONS + MAX_OPS_CONNECTIONS + OTHER_FILES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_limit(10);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(needed(10) > 10 && needed(20) == needed(10) + 10);
    }
}
