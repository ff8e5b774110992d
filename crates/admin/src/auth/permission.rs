//! What may be done over the API, each thing by a name and with the least role that may do it.

use sentinel_core::account::Role;

/// Something that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    DashboardRead,
    BindingsRead,
    BindingsChange,
    LogsRead,
    AlertsRead,
    AlertsChange,
    SettingsRead,
    SettingsChange,
    AuditRead,
    DiagnosticsRun,
    /// To look at one's own sessions and to end them.
    SessionsOwn,
    /// To change one's own password and second factor.
    AccountOwn,
    AdministratorsManage,
    TokensManage,
}

impl Permission {
    /// All of them.
    pub(crate) const ALL: [Self; 14] = [
        Self::DashboardRead,
        Self::BindingsRead,
        Self::BindingsChange,
        Self::LogsRead,
        Self::AlertsRead,
        Self::AlertsChange,
        Self::SettingsRead,
        Self::SettingsChange,
        Self::AuditRead,
        Self::DiagnosticsRun,
        Self::SessionsOwn,
        Self::AccountOwn,
        Self::AdministratorsManage,
        Self::TokensManage,
    ];

    /// Its name, and the least role that has it.
    const fn describe(self) -> (&'static str, Role) {
        match self {
            Self::DashboardRead => ("dashboard.read", Role::Viewer),
            Self::BindingsRead => ("bindings.read", Role::Viewer),
            Self::BindingsChange => ("bindings.change", Role::Operator),
            Self::LogsRead => ("logs.read", Role::Viewer),
            Self::AlertsRead => ("alerts.read", Role::Viewer),
            Self::AlertsChange => ("alerts.change", Role::Operator),
            Self::SettingsRead => ("settings.read", Role::Viewer),
            Self::SettingsChange => ("settings.change", Role::Owner),
            Self::AuditRead => ("audit.read", Role::Operator),
            Self::DiagnosticsRun => ("diagnostics.run", Role::Operator),
            Self::SessionsOwn => ("sessions.own", Role::Viewer),
            Self::AccountOwn => ("account.own", Role::Viewer),
            Self::AdministratorsManage => ("administrators.manage", Role::Owner),
            Self::TokensManage => ("tokens.manage", Role::Owner),
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        self.describe().0
    }

    /// The least role that has it.
    pub(crate) const fn least_role(self) -> Role {
        self.describe().1
    }

    /// Whether the role has it.
    pub(crate) fn is_given_to(self, role: Role) -> bool {
        role >= self.least_role()
    }

    /// The names of all that a role has.
    pub(crate) fn names_of(role: Role) -> Vec<&'static str> {
        Self::ALL
            .into_iter()
            .filter(|permission| permission.is_given_to(role))
            .map(Self::name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_the_lesser_ones_have_and_the_owner_has_all() {
        assert_eq!(Permission::names_of(Role::Owner).len(), Permission::ALL.len());
        let (viewer, operator) = (
            Permission::names_of(Role::Viewer),
            Permission::names_of(Role::Operator),
        );
        assert!(viewer.iter().all(|name| operator.contains(name)));
        assert!(!viewer.contains(&"bindings.change") && operator.contains(&"bindings.change"));
        assert!(!operator.contains(&"settings.change") && !operator.contains(&"administrators.manage"));
    }
}
