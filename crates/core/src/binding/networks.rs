//! The networks of a binding, in the room that one takes: nearly every binding has one, and there may be millions in memory.

use std::fmt;
use std::ops::Deref;

use crate::network::Network;

/// Networks in their order. Reads as a slice.
#[derive(Clone)]
pub struct Networks(Held);

#[derive(Clone)]
enum Held {
    One(Network),
    Several(Box<[Network]>),
}

impl Default for Networks {
    /// None.
    fn default() -> Self {
        Self(Held::Several(Box::default()))
    }
}

impl Deref for Networks {
    type Target = [Network];

    fn deref(&self) -> &[Network] {
        match &self.0 {
            Held::One(network) => std::slice::from_ref(network),
            Held::Several(networks) => networks,
        }
    }
}

impl From<Network> for Networks {
    fn from(network: Network) -> Self {
        Self(Held::One(network))
    }
}

impl From<Vec<Network>> for Networks {
    fn from(networks: Vec<Network>) -> Self {
        match networks[..] {
            [network] => Self(Held::One(network)),
            _ => Self(Held::Several(networks.into())),
        }
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        networks.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Networks {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Networks {}

impl fmt::Debug for Networks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_needs_no_room_of_its_own_and_reads_as_the_others() {
        let network = |text: &str| text.parse::<Network>().expect("a network");
        let one = Networks::from(vec![network("192.0.2.0/24")]);
        assert!(matches!(one.0, Held::One(_)));
        assert_eq!(one, Networks::from(network("192.0.2.0/24")));
        let several: Networks = ["192.0.2.1", "2001:db8::/64"].map(network).into_iter().collect();
        assert_eq!(several.len(), 2);
        assert_eq!(format!("{:?}", Networks::from(Vec::new())), "[]");
        assert_eq!(size_of::<Networks>(), 24);
    }
}
