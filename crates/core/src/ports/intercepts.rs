//! Which intercepts a filter lets through, for whoever holds rows already. Stores ask their indexes the same.

use super::{InterceptFilter, StoredIntercept};

impl InterceptFilter {
    /// Whether rows have to be looked at one by one, as no index leads to them.
    pub fn looks_at_each(&self) -> bool {
        let texts = [&self.path, &self.user_agent, &self.hint, &self.text];
        self.network.is_some() || texts.into_iter().any(Option::is_some)
    }

    /// Whether this row is asked for, its place in the page aside.
    pub fn lets_through(&self, stored: &StoredIntercept) -> bool {
        let intercept = &stored.intercept;
        let hint = intercept.hint.as_ref().map(crate::fingerprint::KeyHint::as_str);
        self.reason.is_none_or(|reason| intercept.reason == reason)
            && is_equal(self.reference.as_deref(), intercept.reference.as_str())
            && self
                .binding
                .is_none_or(|binding| intercept.binding == Some(binding))
            && self
                .client_ip
                .is_none_or(|address| intercept.client_ip == address)
            && self
                .network
                .is_none_or(|network| network.contains(intercept.client_ip))
            && self.outcome.is_none_or(|outcome| intercept.outcome == outcome)
            && is_in(self.path.as_deref(), &intercept.path)
            && is_in(self.user_agent.as_deref(), &intercept.user_agent)
            && (self.hint.is_none() || hint.is_some_and(|hint| is_in(self.hint.as_deref(), hint)))
            && (is_in(self.text.as_deref(), &intercept.path)
                || is_in(self.text.as_deref(), &intercept.user_agent))
            && self.since.is_none_or(|since| intercept.at >= since)
            && self.until.is_none_or(|until| intercept.at < until)
    }
}

fn is_equal(wanted: Option<&str>, text: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == text)
}

fn is_in(part: Option<&str>, text: &str) -> bool {
    part.is_none_or(|part| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
}
