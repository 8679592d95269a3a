//! Which era a bundle is of, as far as it can be told.

use super::bundle::{Application, Bundle};
use super::model::Era;
use super::status::Status;
use crate::import::Place;
use crate::problem::Problem;

/// The first minor versions of Kubernetes of eras M and O.
const FIRST_M: u16 = 22;
const FIRST_O: u16 = 29;

/// The era and what says so.
///
/// # Errors
/// Nothing says so.
pub(super) fn tell(
    bundle: &Bundle<'_>,
    name: &str,
    application: &Application<'_>,
    status: Option<&Status>,
) -> Result<(Era, String), Problem> {
    let charm = application.charm;
    if let Some((channel, minor)) = application.channel.and_then(|channel| Some((channel, minor(channel)?))) {
        return Ok((of(minor), format!("the channel {channel} of {charm}")));
    }
    let reported = status.and_then(|status| status.applications.get(name));
    let channel = reported.and_then(|reported| reported.channel.as_deref());
    if let Some((channel, minor)) = channel.and_then(|channel| Some((channel, minor(channel)?))) {
        return Ok((of(minor), format!("the channel {channel} of {charm} in the status")));
    }
    let has = |endpoint: &str| {
        let mut ends = bundle.relations.iter().flat_map(|relation| relation.ends);
        ends.any(|end| end.endpoint == Some(endpoint))
    };
    let has_new = has("loadbalancer-external") || has("loadbalancer-internal") || has("lb-consumers");
    let has_old = has("kube-api-endpoint") || has("loadbalancer") || has("website");
    // The charm store closed when 1.22 was out, and the charm got its new name in 1.24.
    if application.is_from_store || charm == "kubernetes-master" {
        let era = if has_new { Era::M } else { Era::L };
        let told = if has_new { "with its newer relations" } else { "without the newer relations" };
        let revision =
            application.revision.map(|revision| format!(", revision {revision},")).unwrap_or_default();
        return Ok((era, format!("the charm {charm}{revision} {told}")));
    }
    if has_old {
        return Ok((Era::M, format!("the charm {charm} with relations that 1.29 took away")));
    }
    let version = reported.and_then(|reported| reported.version.as_deref());
    if let Some((version, minor)) = version.and_then(|version| Some((version, minor(version)?))) {
        return Ok((of(minor), format!("the version {version} that {charm} runs")));
    }
    let place = Place::new(application.at.file(), application.at.line());
    let message =
        format!("which era of the charms {name} is of cannot be told: its channel names no version");
    Err(place.problem(message, "give --era L (up to 1.21), M (1.22 to 1.28) or O (from 1.29)"))
}

/// By the minor version of Kubernetes.
fn of(minor: u16) -> Era {
    match minor {
        FIRST_O.. => Era::O,
        FIRST_M..FIRST_O => Era::M,
        0..FIRST_M => Era::L,
    }
}

/// Of `1.35/stable`, `1.35`, `v1.35.2`: 35. A channel may have no version: `latest/edge`.
pub(super) fn minor(text: &str) -> Option<u16> {
    let track = text.split('/').next()?;
    let mut parts = track.trim_start_matches('v').split('.');
    match (parts.next()?, parts.next()) {
        ("1", Some(minor)) => minor.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
