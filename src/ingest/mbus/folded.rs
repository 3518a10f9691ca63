//! Gateways and formats as the log adds them up.

use std::sync::Arc;

use super::seams::{Formats, GatewayLookup};
use crate::keyring::UtilityId;
use crate::net::mbus::contract::{Gateway, Proof};
use crate::store::state::State;
use crate::wire::mbus::address::Address;
use crate::wire::mbus::app::{Body, Expanded};

/// The gateways that are registered.
#[derive(Debug)]
pub struct FoldedGateways(pub Arc<State>);

impl GatewayLookup for FoldedGateways {
    fn find(&self, proof: Proof<'_>) -> Option<Gateway> {
        let directory = self.0.directory();
        let found = match proof {
            Proof::Token(token) => directory.gateway_by_token(token),
            Proof::Certificate(digest) => directory.gateway_by_certificate(digest),
            Proof::Address(address) => directory.gateway_by_address(address),
        };
        drop(directory);
        found.map(|gateway| Gateway {
            name: gateway.name().into(),
            utility: gateway.utility(),
            version: gateway.version.get(),
        })
    }

    fn is_current(&self, gateway: &Gateway) -> bool {
        let directory = self.0.directory();
        let now = directory.gateways.named(&gateway.name);
        now.is_some_and(|now| now.version.get() == gateway.version)
    }
}

/// The formats that telegrams of the log have taught.
#[derive(Debug)]
pub struct FoldedFormats(pub Arc<State>);

impl Formats for FoldedFormats {
    fn expand(
        &self,
        (utility, meter): (UtilityId, Address),
        ci: u8,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        let Ok(Body::Compact(compact)) = Body::read(ci, false, payload) else {
            return None;
        };
        match self
            .0
            .formats
            .read()
            .expand(utility, meter.into(), &compact)
        {
            Expanded::Records(records) => Some(records),
            Expanded::UnknownFormat(_) | Expanded::Refused(_) => None,
        }
    }
}
