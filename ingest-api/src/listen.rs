//! Where the server may listen: without authentication only where nobody else can reach it, or where
//! whoever can is trusted.

use std::net::SocketAddr;

/// The address is open to others, and nothing would tell callers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} is reachable from outside: without authentication only a loopback address is served"
)]
pub struct ListenError {
    /// The refused address.
    pub address: SocketAddr,
}

/// Checks an address before it is bound.
///
/// # Errors
/// [`ListenError`] where the address is no loopback address and not all who reach it may be trusted.
pub fn check_listen(address: SocketAddr, trusted: bool) -> Result<(), ListenError> {
    if trusted || address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(ListenError { address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_without_authentication_or_trust() {
        for (address, fine) in [
            ("127.0.0.1:8080", true),
            ("127.8.8.8:1", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:8080", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("192.168.0.2:8080", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(check_listen(address, false).is_ok(), fine, "{address}");
            assert_eq!(check_listen(address, true), Ok(()));
        }
    }
}
