//! The requests: path and method, who may make each, and what the desk is asked.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::Caller;
use super::answer::{Answer, Asked, Refused, as_json, json};
use super::office::Office;
use super::stream::{entries, ticks};
use crate::control::Status;
use crate::control::wire::{
    Backup, Build, Changed, Delete, Document, Ended, History, Pause, Prune, Reload, Restore, VERSION,
};
use crate::error::{Error, Kind, Result};
use crate::model::{Name, Outcome};

/// Every path of this version.
pub(super) fn routes() -> Router<Office> {
    let v1 = Router::new()
        .route("/version", get(version))
        .route("/status", get(status))
        .route("/backup", post(backup))
        .route("/runs/{what}/progress", get(progress))
        .route("/databases/{name}/cancel", post(cancel))
        .route("/databases/{name}/pause", post(pause))
        .route("/databases/{name}/resume", post(resume))
        .route("/databases/{name}/reset-failed", post(reset_failed))
        .route("/reload", post(reload))
        .route("/diff", get(diff))
        .route("/history", get(history))
        .route("/prune", post(prune))
        .route("/delete", post(delete))
        .route("/restore", post(restore));
    Router::new().nest(&format!("/{VERSION}"), v1).layer(map_response(as_json))
}

async fn version(State(office): State<Office>) -> Json<Build> {
    Json(Build { config: office.desk.config(), ..Build::this(office.started) })
}

#[derive(Deserialize)]
struct Which {
    /// Names with commas between; absent or empty: all.
    #[serde(default)]
    names: String,
}

async fn status(State(office): State<Office>, by: Caller, Query(which): Query<Which>) -> Answer<Status> {
    let names = which.names.split(',').filter(|name| !name.is_empty()).map(named).collect::<Result<Vec<_>>>()?;
    by.may_see(&names)?;
    let mut status = office.desk.status(&names).await?;
    status.databases.retain(|database| by.sees(&database.name));
    json(status)
}

async fn backup(State(office): State<Office>, by: Caller, Asked(ask): Asked<Backup>) -> Result<Response, Refused> {
    if ask.all != ask.names.is_empty() {
        return Err(Error::new(Kind::Usage, "a backup is of `names`, or of `all`").into());
    }
    if ask.all {
        by.may_all("back up all databases")?;
    }
    may_each(&by, &ask.names)?;
    let started = office.desk.backup(ask, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

async fn progress(State(office): State<Office>, by: Caller, Path(what): Path<String>) -> Result<Response, Refused> {
    let watch = office.desk.watch(&what, &by).await?;
    Ok(ticks(watch, office.stop))
}

/// Answers when the run has ended.
async fn cancel(State(office): State<Office>, by: Caller, Path(name): Path<String>) -> Answer<Ended> {
    let mut watch = office.desk.cancel(&allowed(&by, &name)?, &by).await?;
    // The daemon may end before the run does; then it is interrupted too.
    let ended = watch.state.wait_for(|stage| stage.ended.is_some()).await;
    let ended = ended.ok().and_then(|stage| stage.ended.clone());
    json(ended.unwrap_or(Ended::new(Outcome::Interrupted)))
}

async fn pause(
    State(office): State<Office>,
    by: Caller,
    Path(name): Path<String>,
    Asked(ask): Asked<Pause>,
) -> Answer<Changed> {
    json(office.desk.pause(&allowed(&by, &name)?, ask, &by).await?)
}

async fn resume(State(office): State<Office>, by: Caller, Path(name): Path<String>) -> Answer<Changed> {
    json(office.desk.resume(&allowed(&by, &name)?, &by).await?)
}

async fn reset_failed(State(office): State<Office>, by: Caller, Path(name): Path<String>) -> Answer<Changed> {
    json(office.desk.reset_failed(&allowed(&by, &name)?, &by).await?)
}

async fn reload(State(office): State<Office>, by: Caller) -> Answer<Reload> {
    by.may_all("reload the configuration")?;
    json(office.desk.reload(&by).await?)
}

async fn diff(State(office): State<Office>, by: Caller) -> Answer<Reload> {
    by.may_all("see the configuration")?;
    json(office.desk.diff().await?)
}

async fn history(State(office): State<Office>, by: Caller, Query(ask): Query<History>) -> Result<Response, Refused> {
    let added = office.desk.history(ask, &by).await?;
    Ok(entries(added, office.stop))
}

async fn prune(State(office): State<Office>, by: Caller, Asked(ask): Asked<Prune>) -> Answer<Document> {
    if ask.names.is_empty() {
        by.may_all("prune all databases")?;
    }
    may_each(&by, &ask.names)?;
    if ask.only.is_some() && (ask.dry_run || ask.names.len() != 1) {
        return Err(Error::new(Kind::Usage, "`only` is for one database, and for a deletion").into());
    }
    json(office.desk.prune(ask, &by).await?)
}

async fn delete(State(office): State<Office>, by: Caller, Asked(ask): Asked<Delete>) -> Answer<Document> {
    json(office.desk.delete(ask, &by).await?)
}

async fn restore(State(office): State<Office>, by: Caller, Asked(ask): Asked<Restore>) -> Answer<Document> {
    json(office.desk.restore(ask, &by).await?)
}

fn named(text: &str) -> Result<Name> {
    text.parse().map_err(|e: crate::model::name::NotAName| Error::new(Kind::Usage, e.to_string()))
}

fn allowed(by: &Caller, name: &str) -> Result<Name> {
    let name = named(name)?;
    by.may(&name)?;
    Ok(name)
}

fn may_each(by: &Caller, names: &[Name]) -> Result<()> {
    names.iter().try_for_each(|name| by.may(name))
}
