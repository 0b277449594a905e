//! Who may ask: the token, and the names under which the server may be reached.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use super::options::ServeOptions;

/// The cookie in which the page keeps the token, so that pictures load too.
pub(crate) const COOKIE: &str = "sightword";

/// Who may ask.
pub(crate) struct Access {
    /// Hashes compare in constant time.
    token: Option<blake3::Hash>,
    hosts: Vec<String>,
}

impl Access {
    /// `address`: where the server really listens.
    pub(crate) fn new(options: &ServeOptions, address: SocketAddr) -> Self {
        let mut hosts: Vec<String> = options.hosts.iter().map(|host| host.to_lowercase()).collect();
        hosts.push(String::from("localhost"));
        if !address.ip().is_loopback() {
            hosts.push(gethostname::gethostname().to_string_lossy().to_lowercase());
        }
        Self { token: options.token.as_deref().map(hash), hosts }
    }

    /// Whether a client must know a token.
    pub(crate) fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether this is the token, or none is needed.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        self.token.is_none_or(|expected| hash(token) == expected)
    }

    /// Whether the request brings the token, in its `Authorization` or in the page's cookie.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        if self.token.is_none() {
            return true;
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let cookies = text(header::COOKIE).unwrap_or_default().split(';');
        let cookie = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let cookie = cookie.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
        bearer.into_iter().chain(cookie).any(|token| self.is_token(token))
    }

    /// Whether the `Host` of a request is a name of this server. A page of another site can make its own
    /// name point to this machine and ask as if it were ours (DNS rebinding), but only under that name;
    /// an address needs none and cannot be turned.
    pub(crate) fn knows_host(&self, host: &str) -> bool {
        let name = without_port(host).to_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }
}

/// `localhost:7117` → `localhost`, `[::1]:7117` → `[::1]`.
fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

fn hash(token: &str) -> blake3::Hash {
    blake3::hash(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: Option<&str>) -> Access {
        let options = ServeOptions {
            token: token.map(str::to_owned),
            hosts: vec![String::from("photos.example")],
            ..ServeOptions::default()
        };
        Access::new(&options, options.address)
    }

    #[test]
    fn only_names_of_this_server_are_hosts() {
        let access = access(None);
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1:7117", "[::1]:7117", "[::1]", "10.0.0.7"]
        {
            assert!(access.knows_host(host), "{host}");
        }
        assert!(access.knows_host("photos.example:7117"));
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7117"] {
            assert!(!access.knows_host(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_a_bearer_or_a_cookie() {
        let headers = |name: header::HeaderName, value: &str| {
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        let access = access(Some("secret"));
        assert!(access.admits(&headers(header::AUTHORIZATION, "Bearer secret")));
        assert!(access.admits(&headers(header::AUTHORIZATION, "bearer  secret")));
        assert!(access.admits(&headers(header::COOKIE, "a=b; sightword=secret")));
        assert!(!access.admits(&headers(header::COOKIE, "a=secret; sightword=secre")));
        assert!(!access.admits(&headers(header::AUTHORIZATION, "Basic secret")));
        assert!(!access.admits(&HeaderMap::new()));
    }
}
