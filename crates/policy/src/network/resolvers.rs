//! Public resolvers that answer over HTTPS, as data: with one of them a sandbox would look up any name, unseen.
//!
//! A list can never be complete. It closes the ones that software has built in; in allowlist mode the others
//! are closed because nobody allowed them. Sources: the settings of Firefox and Chromium, and
//! <https://github.com/curl/curl/wiki/DNS-over-HTTPS>.

/// A name is one of these or lies below one.
const ZONES: &[&str] = &[
    "1dot1dot1dot1.com",
    "8888.google",
    "cloudflare-dns.com",
    "dns.adguard-dns.com",
    "dns.adguard.com",
    "dns.alidns.com",
    "dns.controld.com",
    "dns.digitale-gesellschaft.ch",
    "dns.google",
    "dns.google.com",
    "dns.mullvad.net",
    "dns.nextdns.io",
    "dns.opendns.com",
    "dns.quad9.net",
    "dns.sb",
    "dns.switch.ch",
    "dns.umbrella.com",
    "dns0.eu",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "dns9.quad9.net",
    "doh.360.cn",
    "doh.applied-privacy.net",
    "doh.cleanbrowsing.org",
    "doh.cox.net",
    "doh.dns.sb",
    "doh.familyshield.opendns.com",
    "doh.ffmuc.net",
    "doh.la.ahadns.net",
    "doh.li",
    "doh.libredns.gr",
    "doh.mullvad.net",
    "doh.opendns.com",
    "doh.pub",
    "doh.quickline.ch",
    "doh.sandbox.opendns.com",
    "doh.tiar.app",
    "doh.umbrella.com",
    "doh.xfinity.com",
    "family.canadianshield.cira.ca",
    "firefox.dns.nextdns.io",
    "freedns.controld.com",
    "mozilla.cloudflare-dns.com",
    "one.one.one.one",
    "ordns.he.net",
    "private.canadianshield.cira.ca",
    "protected.canadianshield.cira.ca",
    "wikimedia-dns.org",
];

pub(super) fn is_resolver<'a>(mut suffixes: impl Iterator<Item = &'a str>) -> bool {
    suffixes.any(|suffix| ZONES.binary_search(&suffix).is_ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_in_order_because_it_is_searched_by_halves() {
        assert!(super::ZONES.is_sorted());
    }
}
