//! Gateways: registered, changed, shown, removed.

use crate::keyring::UtilityId;
use crate::model::event::{ADDRESSES_PER_GATEWAY, GatewayEntry};
use crate::model::ids::is_name;
use crate::model::{Cidr, Event};
use crate::store::state::{Gateway, Gateways};

use super::apply::Registry;
use super::command::{GatewayChange, LIST_MAX};
use super::refusal::Refusal;
use super::reply::{Change, GatewayView, Reply};

impl Registry {
    pub(super) fn put_gateway(&self, change: GatewayChange) -> Result<Reply, Refusal> {
        let name = change.gateway.clone();
        if !is_name(&name) {
            return Err(Refusal::GatewayName);
        }
        let known = self.state.directory().gateways.named(&name).cloned();
        let move_utility = change.move_utility;
        let entry = wanted(change, known.as_ref().map(|known| &known.entry))?;
        let is_other = |known: &Gateway| known.utility() != entry.utility;
        if let Some(known) = known.as_deref().filter(|_| !move_utility)
            && is_other(known)
        {
            return Err(Refusal::GatewayUtility {
                gateway: name,
                utility: known.utility(),
            });
        }
        let change = match &known {
            None => Change::Added,
            Some(known) if known.entry == entry => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        if change != Change::Unchanged {
            self.check_gateway(&entry, known.is_none())?;
            self.append(&Event::GatewayPut(entry))?;
        }
        let gateway = self.view_of_gateway(&name)?;
        Ok(Reply::GatewayPut { change, gateway })
    }

    /// Whether a gateway may be registered so, in view of the others.
    fn check_gateway(&self, entry: &GatewayEntry, is_new: bool) -> Result<(), Refusal> {
        if self.utility(entry.utility).is_none() {
            return Err(Refusal::UnknownUtility(entry.utility));
        }
        let directory = self.state.directory();
        let gateways = &directory.gateways;
        if is_new && gateways.len() >= Gateways::MAX {
            return Err(Refusal::GatewaysFull);
        }
        let is_other = |found: &&std::sync::Arc<Gateway>| found.name() != entry.gateway;
        let token = entry.token_sha256.and_then(|it| gateways.of_token(it));
        if let Some(other) = token.filter(is_other) {
            return Err(Refusal::TokenTaken(other.name().to_owned()));
        }
        let certificate = entry.certificate_sha256;
        let certificate = certificate.and_then(|it| gateways.by_certificate(it));
        if let Some(other) = certificate.filter(is_other) {
            return Err(Refusal::CertificateTaken(other.name().to_owned()));
        }
        for range in &entry.addresses {
            if let Some((theirs, other)) = gateways.overlap(*range, &entry.gateway) {
                return Err(Refusal::AddressTaken {
                    range: *range,
                    theirs,
                    gateway: other.name().to_owned(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn remove_gateway(&self, name: &str) -> Result<Reply, Refusal> {
        let gateway = self.view_of_gateway(name)?;
        self.append(&Event::GatewayRemoved {
            gateway: name.to_owned(),
        })?;
        let change = Change::Removed;
        Ok(Reply::GatewayPut { change, gateway })
    }

    pub(super) fn show_gateway(&self, name: &str) -> Result<Reply, Refusal> {
        let gateway = self.view_of_gateway(name)?;
        Ok(Reply::Gateway { gateway })
    }

    pub(super) fn list_gateways(
        &self,
        utility: Option<UtilityId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Reply, Refusal> {
        if !(1..=LIST_MAX).contains(&limit) {
            return Err(Refusal::Limit);
        }
        if let Some(utility) = utility.filter(|id| self.utility(*id).is_none()) {
            return Err(Refusal::UnknownUtility(utility));
        }
        let limit = usize::try_from(limit).unwrap_or(0);
        let directory = self.state.directory();
        let all = directory.gateways.after(after);
        let of = |one: &&std::sync::Arc<Gateway>| utility.is_none_or(|id| one.utility() == id);
        let mut gateways: Vec<_> = all
            .filter(of)
            .take(limit.saturating_add(1))
            .map(|one| view(one))
            .collect();
        let is_last = gateways.len() <= limit;
        gateways.truncate(limit);
        let last = gateways.last().map(|one| one.gateway.clone());
        let next = last.filter(|_| !is_last);
        Ok(Reply::Gateways { gateways, next })
    }

    fn view_of_gateway(&self, name: &str) -> Result<GatewayView, Refusal> {
        let directory = self.state.directory();
        let found = directory.gateways.named(name);
        let found = found.ok_or_else(|| Refusal::UnknownGateway(name.to_owned()))?;
        Ok(view(found))
    }
}

/// The entry that a change makes of the one that is known.
fn wanted(change: GatewayChange, known: Option<&GatewayEntry>) -> Result<GatewayEntry, Refusal> {
    let utility = change.utility.or_else(|| Some(known?.utility));
    let token = known.and_then(|known| known.token_sha256);
    let token = token.filter(|_| !change.drop_token);
    let certificate = known.and_then(|known| known.certificate_sha256);
    let certificate = certificate.filter(|_| !change.drop_certificate);
    let known_addresses = || known.map(|known| known.addresses.clone());
    let addresses = change.addresses.or_else(known_addresses);
    let entry = GatewayEntry {
        utility: utility.ok_or_else(|| Refusal::NoGatewayUtility(change.gateway.clone()))?,
        gateway: change.gateway,
        token_sha256: change.token_sha256.or(token),
        certificate_sha256: change.certificate_sha256.or(certificate),
        addresses: sorted(addresses.unwrap_or_default()),
    };
    if entry.addresses.len() > ADDRESSES_PER_GATEWAY {
        return Err(Refusal::TooManyAddresses(entry.addresses.len()));
    }
    let shows_nothing = entry.token_sha256.is_none()
        && entry.certificate_sha256.is_none()
        && entry.addresses.is_empty();
    if shows_nothing {
        return Err(Refusal::NothingShown(entry.gateway));
    }
    Ok(entry)
}

/// In one order, each once, so that the same ranges are no change.
fn sorted(mut addresses: Vec<Cidr>) -> Vec<Cidr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn view(gateway: &Gateway) -> GatewayView {
    let entry = &gateway.entry;
    GatewayView {
        gateway: entry.gateway.clone(),
        utility: entry.utility,
        token: entry.token_sha256.is_some(),
        certificate_sha256: entry.certificate_sha256,
        addresses: entry.addresses.clone(),
        version: gateway.version,
    }
}
