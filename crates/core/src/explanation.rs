//! What would become of a request, told step by step to an operator who asks. Nothing is forwarded, learned, claimed or recorded for it.
//!
//! [`decide`] says what would be; in here is only how the question is put to it, as the data plane would, and the words for the answer.

use crate::binding::{Binding, BindingStatus};
use crate::client_ip::ClientIpRules;
use crate::decision::{RefusalReason, Subject, Verdict, decide};
use crate::network::{ClientIp, Network};
use crate::policy::Rules;
use crate::time::Timestamp;

/// A request that an operator asks about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// What is stored for its key; none for an unknown key.
    pub binding: Option<&'q Binding>,
    /// Where it would come from.
    pub address: ClientIp,
    /// Whether an unknown key is claimed on its path.
    pub is_claim_path: bool,
    /// The rules that hold.
    pub rules: &'q Rules,
    /// Whom the proxy believes about addresses.
    pub client_ip: &'q ClientIpRules,
    /// When it would come.
    pub now: Timestamp,
}

/// What would become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It would go on.
    Permit,
    /// It would be refused.
    Refuse,
    /// It would go on, and what would have refused it would be recorded.
    Observe,
    /// It would go on, and bind its key unless the upstream does not know it.
    Claim,
}

impl Outcome {
    /// The word that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Refuse => "refuse",
            Self::Observe => "observe",
            Self::Claim => "claim",
        }
    }
}

/// One step on the way to the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was looked at, one word.
    pub name: &'static str,
    /// What was found.
    pub text: String,
    /// Whether it speaks for the request.
    pub ok: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What would become of the request.
    pub outcome: Outcome,
    /// Why it would be refused, or would have been.
    pub reason: Option<RefusalReason>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

/// Answers.
pub fn explain(question: &Question<'_>) -> Explanation {
    let mut steps = Vec::new();
    let mut step = |name, ok, text: String| steps.push(Step { name, text, ok });
    let address = question.address;
    let is_trusted = question.client_ip.is_trusted(address);
    step(
        "address",
        !is_trusted,
        if is_trusted {
            format!("{address} is a trusted proxy's own address, which is never bound or learned")
        } else {
            format!("{address} is a client's address")
        },
    );
    let (outcome, reason) = match question.binding {
        Some(binding) => bound(question, binding, is_trusted, &mut step),
        None => unknown(question, is_trusted, &mut step),
    };
    step(
        "outcome",
        outcome != Outcome::Refuse,
        match (outcome, reason) {
            (Outcome::Permit | Outcome::Claim, _) => "the request goes on".to_owned(),
            (Outcome::Observe, _) => {
                "the request goes on, and is recorded: nothing is enforced (mode observe)".to_owned()
            }
            (Outcome::Refuse, reason) => {
                format!(
                    "the request is refused: {}",
                    reason.map_or("", RefusalReason::code)
                )
            }
        },
    );
    Explanation {
        outcome,
        reason,
        steps,
    }
}

type Told<'t> = dyn FnMut(&'static str, bool, String) + 't;

/// A key with a binding.
fn bound(
    question: &Question<'_>,
    binding: &Binding,
    is_trusted: bool,
    step: &mut Told<'_>,
) -> (Outcome, Option<RefusalReason>) {
    let Question {
        address, rules, now, ..
    } = *question;
    step(
        "key",
        binding.status != BindingStatus::Banned,
        format!(
            "the key is bound (binding {}, {})",
            binding.id,
            binding.status.as_str()
        ),
    );
    let networks = list(&binding.networks);
    let covers = binding.covers(address);
    step(
        "network",
        covers,
        if covers {
            format!("{address} lies in its networks: {networks}")
        } else {
            format!("{address} lies in none of its networks: {networks}")
        },
    );
    let mut verdict = decide(Subject::Bound(binding), address, rules, now, true);
    if matches!(verdict, Verdict::Learnable) {
        let slots = binding.policy.slots(rules);
        let network = widened(rules, address);
        step(
            "learning",
            !is_trusted,
            if is_trusted {
                "it could learn another network, but not a trusted proxy's".to_owned()
            } else {
                format!(
                    "it learns {network}: it has {} of {slots} networks",
                    binding.networks.len()
                )
            },
        );
        let mut learned = binding.clone();
        if !is_trusted {
            learned.networks = binding.networks.iter().copied().chain([network]).collect();
        }
        verdict = decide(Subject::Bound(&learned), address, rules, now, false);
    }
    if binding.policy.mode.is_some() {
        step("policy", true, "the key has a mode of its own".to_owned());
    }
    told(&verdict)
}

/// A key without one.
fn unknown(
    question: &Question<'_>,
    is_trusted: bool,
    step: &mut Told<'_>,
) -> (Outcome, Option<RefusalReason>) {
    let Question {
        address, rules, now, ..
    } = *question;
    step("key", true, "the key is not bound".to_owned());
    if !question.is_claim_path {
        step("path", true, "no key is bound on this path".to_owned());
        return told(&decide(Subject::UnknownOffClaimPath, address, rules, now, true));
    }
    if is_trusted {
        return (Outcome::Refuse, Some(RefusalReason::ClientIpUnresolvable));
    }
    let network = widened(rules, address);
    step(
        "claim",
        true,
        format!("its first use binds it to {network}, unless the upstream answers 401"),
    );
    if rules.claims_per_minute > 0 {
        let text = format!(
            "unless {address} binds more than {} keys in a minute",
            rules.claims_per_minute
        );
        step("throttle", true, text);
    }
    (Outcome::Claim, None)
}

fn told(verdict: &Verdict) -> (Outcome, Option<RefusalReason>) {
    match verdict {
        Verdict::Allowed(_) => (Outcome::Permit, None),
        Verdict::Observed(_, reason) => (Outcome::Observe, Some(*reason)),
        // Learning was tried, so it is asked for no more; the data plane takes it for the same.
        Verdict::Learnable => (Outcome::Refuse, Some(RefusalReason::KeyIpMismatch)),
        Verdict::Refused(reason) => (Outcome::Refuse, Some(*reason)),
    }
}

/// The network that a use from this address binds.
pub fn widened(rules: &Rules, address: ClientIp) -> Network {
    Network::widen(address, rules.ipv4_prefix, rules.ipv6_prefix)
}

fn list(networks: &[Network]) -> String {
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    networks.join(", ")
}

#[cfg(test)]
mod tests;
