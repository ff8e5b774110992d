//! What the store in memory holds, behind its one lock. Must never wait.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sentinel_core::alert::ports::{
    Delivery, DeliveryId, DeliveryState, Transition, Transitioned, delivery_error_kept,
};
use sentinel_core::alert::{Alert, AlertId, AlertState, ChannelId, RuleKind, Seen, Subject};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::MEMORY_ALERTS_MAX;

/// An alert with its transitions.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) now: Alert,
    pub(super) history: Vec<Alert>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    last_number: i64,
    last_delivery: i64,
    pub(super) alerts: BTreeMap<i64, Kept>,
    open: HashMap<(RuleKind, Subject), i64>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
}

impl State {
    pub(super) fn transition(
        &mut self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        match wanted {
            Transition::Raise(alert) => self.raise(*alert, channels),
            Transition::Advance {
                id,
                sequence,
                to,
                at,
                replica,
            } => Ok(self.advance(&id, sequence, (to, at, &replica), channels)),
        }
    }

    fn raise(&mut self, alert: Alert, channels: &[ChannelId]) -> Result<Transitioned, StoreError> {
        let key = (alert.rule, alert.subject.clone());
        if let Some(number) = self.open.get(&key) {
            let open = self.alerts.get(number).map(|kept| Box::new(kept.now.clone()));
            return Ok(Transitioned::Lost(open));
        }
        if self.alerts.len() >= MEMORY_ALERTS_MAX && !self.forget_one(None) {
            return Err(StoreError::Busy);
        }
        self.last_number += 1;
        self.open.insert(key, self.last_number);
        self.deliver(&alert, channels);
        let kept = Kept {
            now: alert.clone(),
            history: vec![alert.clone()],
        };
        self.alerts.insert(self.last_number, kept);
        Ok(Transitioned::Won(Box::new(alert)))
    }

    fn advance(
        &mut self,
        id: &AlertId,
        sequence: u32,
        (to, at, replica): (AlertState, Timestamp, &str),
        channels: &[ChannelId],
    ) -> Transitioned {
        let Some(kept) = self.alerts.values_mut().find(|kept| kept.now.id == *id) else {
            return Transitioned::Lost(None);
        };
        if !kept.now.state.is_open() {
            return Transitioned::Lost(None);
        }
        if kept.now.sequence != sequence {
            return Transitioned::Lost(Some(Box::new(kept.now.clone())));
        }
        let next = kept.now.advanced(to, at, replica);
        kept.now = next.clone();
        kept.history.push(next.clone());
        if !to.is_open() {
            self.open.remove(&(next.rule, next.subject.clone()));
        }
        self.deliver(&next, channels);
        Transitioned::Won(Box::new(next))
    }

    fn deliver(&mut self, alert: &Alert, channels: &[ChannelId]) {
        for (place, channel) in channels.iter().enumerate() {
            if channels[..place].contains(channel) {
                continue;
            }
            self.last_delivery += 1;
            let id = DeliveryId(self.last_delivery);
            let delivery = Delivery {
                id,
                alert: alert.clone(),
                channel: channel.clone(),
                state: DeliveryState::Pending,
                attempts: 0,
                since: alert.at,
                next_attempt_at: alert.at,
                ended_at: None,
                last_error: None,
            };
            self.deliveries.insert(id, delivery);
        }
    }

    pub(super) fn observe(&mut self, id: &AlertId, seen: &Seen) -> bool {
        let mut open = self.alerts.values_mut().filter(|kept| kept.now.state.is_open());
        let Some(kept) = open.find(|kept| kept.now.id == *id) else {
            return false;
        };
        kept.now.seen.merge(seen);
        true
    }

    pub(super) fn take_due(
        &mut self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Vec<Delivery> {
        let mut due: Vec<(Timestamp, DeliveryId)> = self
            .deliveries
            .values()
            .filter(|delivery| delivery.state == DeliveryState::Pending)
            .filter(|delivery| delivery.channel == *channel && delivery.next_attempt_at <= now)
            .map(|delivery| (delivery.next_attempt_at, delivery.id))
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        let mut taken = Vec::with_capacity(due.len());
        for (_, id) in due {
            if let Some(delivery) = self.deliveries.get_mut(&id) {
                delivery.attempts = delivery.attempts.saturating_add(1);
                delivery.next_attempt_at = now.plus(lease);
                taken.push(delivery.clone());
            }
        }
        taken
    }

    /// Changes a pending delivery, if the attempt is still the one that is known here; any attempt's, when none is given.
    pub(super) fn end(
        &mut self,
        id: DeliveryId,
        attempt: Option<u32>,
        change: impl FnOnce(&mut Delivery),
    ) -> bool {
        let pending = self
            .deliveries
            .get_mut(&id)
            .filter(|delivery| delivery.state == DeliveryState::Pending)
            .filter(|delivery| attempt.is_none_or(|attempt| delivery.attempts == attempt));
        pending.map(change).is_some()
    }

    /// Removes the oldest alert that is over and of which nothing is pending.
    pub(super) fn forget_one(&mut self, calmed_before: Option<Timestamp>) -> bool {
        let is_pending = |id: &AlertId| {
            let mut own = self
                .deliveries
                .values()
                .filter(|delivery| delivery.alert.id == *id);
            own.any(|delivery| delivery.state == DeliveryState::Pending)
        };
        let mut over = self.alerts.iter().filter(|(_, kept)| {
            !kept.now.state.is_open() && calmed_before.is_none_or(|before| kept.now.at < before)
        });
        let Some(number) = over
            .find(|(_, kept)| !is_pending(&kept.now.id))
            .map(|(number, _)| *number)
        else {
            return false;
        };
        if let Some(kept) = self.alerts.remove(&number) {
            self.deliveries
                .retain(|_, delivery| delivery.alert.id != kept.now.id);
        }
        true
    }
}

pub(super) fn bury(delivery: &mut Delivery, at: Timestamp, error: &str) {
    delivery.state = DeliveryState::Dead;
    delivery.ended_at = Some(at);
    delivery.last_error = Some(delivery_error_kept(error));
}
