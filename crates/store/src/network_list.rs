//! Networks in one column of text, separated by spaces.

use sentinel_core::binding::Networks;

/// As they are stored.
pub(crate) fn write(networks: &Networks) -> String {
    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// As they were; none when it is no such list.
pub(crate) fn read(text: &str) -> Option<Networks> {
    text.split_whitespace()
        .map(|network| network.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() {
        for text in ["", "192.0.2.1/32", "192.0.2.0/24 2001:db8::/64"] {
            assert_eq!(read(text).map(|networks| write(&networks)).as_deref(), Some(text));
        }
        assert_eq!(read("192.0.2.1 nowhere"), None);
    }
}
