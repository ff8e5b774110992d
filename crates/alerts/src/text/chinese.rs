//! Messages in Simplified Chinese. Must never hold anything but words.

use std::time::Duration;

use sentinel_core::alert::{AlertState, Part, RuleKind, Severity};
use sentinel_core::decision::RefusalReason;

use super::{Label, Words};
use crate::links::LinkAction;

pub(super) struct Chinese;

impl Words for Chinese {
    fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Info => "提示",
            Severity::Warning => "警告",
            Severity::Critical => "严重",
        }
    }

    fn state(&self, state: AlertState) -> &'static str {
        match state {
            AlertState::Firing => "触发",
            AlertState::Updated => "持续中",
            AlertState::Calmed => "已平息",
        }
    }

    fn rule(&self, kind: RuleKind) -> &'static str {
        match kind {
            RuleKind::RefusalsPerBinding => "密钥被频繁拒绝",
            RuleKind::RefusalsPerAddress => "地址被频繁拒绝",
            RuleKind::NewNetwork => "久未使用的密钥出现在新网络",
            RuleKind::ManyKeysFromAddress => "同一地址尝试多个密钥",
            RuleKind::ManyNetworksForKey => "密钥疑似泄露：多个网络尝试同一密钥",
            RuleKind::BannedKeyTried => "已封禁的密钥再次被使用",
            RuleKind::StoreOutage => "绑定数据库不可用",
            RuleKind::CacheOutage => "共享缓存不可用",
            RuleKind::RecordsLost => "审计记录丢失",
        }
    }

    fn limit(&self, kind: RuleKind, threshold: u64, window: Duration) -> String {
        let seconds = window.as_secs();
        match kind {
            RuleKind::RefusalsPerBinding | RuleKind::RefusalsPerAddress | RuleKind::BannedKeyTried => {
                format!("{seconds} 秒内拒绝达到 {threshold} 次")
            }
            RuleKind::NewNetwork => format!("静默超过 {} 天后出现新网络", seconds / 86_400),
            RuleKind::ManyKeysFromAddress => format!("{seconds} 秒内达到 {threshold} 个不同密钥"),
            RuleKind::ManyNetworksForKey => format!("{seconds} 秒内达到 {threshold} 个不同网络"),
            RuleKind::StoreOutage | RuleKind::CacheOutage => format!("持续不可用超过 {seconds} 秒"),
            RuleKind::RecordsLost => format!("{seconds} 秒内丢失达到 {threshold} 条"),
        }
    }

    fn reason(&self, reason: RefusalReason) -> &'static str {
        match reason {
            RefusalReason::KeyIpMismatch => "来源不在绑定网络内",
            RefusalReason::KeyBanned => "密钥已封禁",
            RefusalReason::ClaimRateLimited => "新密钥过多",
            RefusalReason::CredentialAmbiguous => "凭据有歧义",
            RefusalReason::KeyMissing => "缺少密钥",
            _ => reason.code(),
        }
    }

    fn label(&self, label: Label) -> &'static str {
        match label {
            Label::Rule => "规则",
            Label::Key => "密钥",
            Label::Networks => "来源网络",
            Label::Count => "次数",
            Label::Peak => "不同数量",
            Label::Time => "时间",
            Label::Request => "请求示例",
            Label::Client => "客户端",
            Label::Reference => "审计编号",
            Label::Replica => "副本",
        }
    }

    fn part(&self, part: Part) -> &'static str {
        match part {
            Part::Store => "绑定数据库",
            Part::Cache => "共享缓存",
            Part::Records => "审计记录",
        }
    }

    fn many(&self) -> &'static str {
        "大量对象同时触发"
    }

    fn binding(&self, hint: &str, id: i64) -> String {
        format!("{hint}（绑定 #{id}）")
    }

    fn and_more(&self) -> &'static str {
        "等"
    }

    fn span(&self, from: &str, to: &str) -> String {
        format!("{from} 至 {to}")
    }

    fn action(&self, action: LinkAction) -> &'static str {
        match action {
            LinkAction::Ban => "封禁密钥",
            LinkAction::AllowNetwork => "允许此网络",
            LinkAction::Ignore => "忽略",
        }
    }

    fn open_console(&self) -> &'static str {
        "打开控制台"
    }
}
