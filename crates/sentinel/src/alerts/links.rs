//! What a link in an alert's message does, once in the whole installation.
//!
//! The use is written down before anything is done: two who confirm at once do it once. If the store fails in between, the link is used up and
//! nothing was done, which whoever confirmed is told.

use std::sync::Arc;

use sentinel_admin::{LinkRefused, LinkedAction};
use sentinel_alerts::links::{ActionLink, LinkRefused as NotOurs, LinkSigner};
use sentinel_core::alert::LinkAction;
use sentinel_core::alert::ports::UsedLinks;
use sentinel_core::binding::{BINDING_NETWORKS_MAX, BindingRecord};
use sentinel_core::event::{Actor, AdminEvent};
use sentinel_core::network::Network;
use sentinel_core::ports::{AdminEventStore, BindingAdmin};
use sentinel_core::time::Timestamp;

/// Shows links and follows them.
pub(super) struct Links {
    pub(super) signer: LinkSigner,
    pub(super) used: Arc<dyn UsedLinks>,
    /// Where changes are made, so that this replica's requests are judged by them at once.
    pub(super) bindings: Arc<dyn BindingAdmin>,
    pub(super) events: Arc<dyn AdminEventStore>,
}

/// A link, and the binding that it is about as it is now.
struct Target {
    link: ActionLink,
    record: Option<BindingRecord>,
}

impl Links {
    pub(super) async fn show(&self, token: &str, now: Timestamp) -> Result<LinkedAction, LinkRefused> {
        self.target(token, now).await.map(Target::shown)
    }

    pub(super) async fn follow(&self, token: &str, actor: Actor) -> Result<LinkedAction, LinkRefused> {
        let target = self.target(token, actor.at).await?;
        let is_first = target.link.use_once(&*self.used, actor.at).await;
        if !is_first.map_err(LinkRefused::Store)? {
            return Err(LinkRefused::Used);
        }
        self.act(&target, actor).await?;
        Ok(target.shown())
    }

    async fn target(&self, token: &str, now: Timestamp) -> Result<Target, LinkRefused> {
        let link = self.signer.verify(token, now).map_err(|refused| match refused {
            NotOurs::Forged => LinkRefused::Forged,
            NotOurs::Expired => LinkRefused::Expired,
        })?;
        let record = match link.binding {
            Some(id) => {
                let found = self.bindings.show(id).await.map_err(LinkRefused::Store)?;
                Some(found.ok_or(LinkRefused::Pointless)?)
            }
            None => None,
        };
        if let (Some(network), Some(record)) = (link.network, &record)
            && with_network(record, network).len() > BINDING_NETWORKS_MAX
        {
            return Err(LinkRefused::Pointless);
        }
        Ok(Target { link, record })
    }

    async fn act(&self, target: &Target, actor: Actor) -> Result<(), LinkRefused> {
        let Target { link, record } = target;
        let changed = match (link.action, record, link.network) {
            (LinkAction::Ban, Some(record), _) => {
                let reason = format!("by a link of alert {}", link.alert);
                self.bindings.ban(record.binding.id, reason, actor).await
            }
            (LinkAction::AllowNetwork, Some(record), Some(network)) => {
                let networks = with_network(record, network);
                self.bindings
                    .set_networks(record.binding.id, networks, actor)
                    .await
            }
            (LinkAction::Ignore, ..) => {
                let event = AdminEvent::by(&actor, "alert_ignored", format!("alert {}", link.alert));
                return self.events.append(event).await.map_err(LinkRefused::Store);
            }
            // No link is signed without what it acts on.
            (LinkAction::Ban | LinkAction::AllowNetwork, ..) => return Err(LinkRefused::Forged),
        };
        match changed {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(LinkRefused::Pointless),
            Err(error) => Err(LinkRefused::Store(error)),
        }
    }
}

impl Target {
    fn shown(self) -> LinkedAction {
        LinkedAction {
            action: self.link.action,
            alert: self.link.alert,
            key: self.record.map(|record| (record.binding.id, record.hint)),
            network: self.link.network,
            expires_at: self.link.expires_at,
        }
    }
}

/// The binding's networks and this one.
fn with_network(record: &BindingRecord, network: Network) -> Vec<Network> {
    let mut networks: Vec<Network> = record.binding.networks.iter().copied().collect();
    if !networks.contains(&network) {
        networks.push(network);
    }
    networks
}

#[cfg(test)]
mod tests;
