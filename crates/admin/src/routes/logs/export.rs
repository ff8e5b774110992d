//! The audit log as a file: CSV or JSON Lines, newest first, page by page as the caller reads it.
//!
//! Holds one page at a time, however long the file is. A file that ends before the rows do says so in its last line, and where to go on. A
//! store that fails midway ends the transfer early, which the caller notices: the body has no proper end. So does a session that ends, or a role
//! that changes.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::header;
use sentinel_core::ports::{InterceptFilter, InterceptStore, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::query::LogQuery;
use super::view::{COLUMNS, InterceptView};
use crate::auth::standing::Standing;
use crate::extract::{QueryString, SignedIn};
use crate::middleware::BearerToken;
use crate::parts::Admin;
use crate::problem::{Code, Problem};

/// How many exports run at once.
pub(crate) const EXPORTS_MAX: usize = 4;
/// How many rows are read, and held, at once.
pub(super) const EXPORT_PAGE_ROWS: u32 = 500;
/// The most rows of one export; its last line says where to go on.
pub(super) const EXPORT_ROWS_MAX: u64 = 2_000_000;
/// What a spreadsheet knows UTF-8 by.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv { has_mark: bool },
    JsonLines,
}

impl Format {
    fn of(query: &LogQuery) -> Result<Self, Problem> {
        let has_mark = match query.bom.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err(Problem::field("bom", "It must be 0 or 1.")),
        };
        match query.format.as_deref() {
            Some("csv") => Ok(Self::Csv { has_mark }),
            Some("jsonl") if has_mark => Err(Problem::field("bom", "It goes with CSV only.")),
            Some("jsonl") => Ok(Self::JsonLines),
            _ => Err(Problem::field("format", "It must be 'csv' or 'jsonl'.")),
        }
    }

    /// The media type, and the end of the file's name.
    const fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv { .. } => ("text/csv; charset=utf-8", "csv"),
            Self::JsonLines => ("application/jsonl", "jsonl"),
        }
    }

    fn head(self) -> io::Result<Vec<u8>> {
        let Self::Csv { has_mark } = self else {
            return Ok(Vec::new());
        };
        let mut writer = csv::Writer::from_writer(if has_mark {
            BYTE_ORDER_MARK.to_vec()
        } else {
            Vec::new()
        });
        writer.write_record(COLUMNS)?;
        writer
            .into_inner()
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// The last line of a file that ends before the rows do. In CSV a record like the others, so that every reader takes it.
    fn cut_before(self, id: i64) -> io::Result<Vec<u8>> {
        match self {
            Self::Csv { .. } => {
                let mut cells = [const { String::new() }; COLUMNS.len()];
                cells[0].push_str(GO_ON);
                cells[1] = id.to_string();
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(cells)?;
                writer
                    .into_inner()
                    .map_err(|error| io::Error::other(error.to_string()))
            }
            Self::JsonLines => Ok(format!("{}\n", serde_json::json!({ GO_ON: id })).into_bytes()),
        }
    }

    fn rows(self, rows: Vec<InterceptView>) -> io::Result<Vec<u8>> {
        match self {
            Self::Csv { .. } => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                for row in rows {
                    writer.write_record(row.cells().map(harmless))?;
                }
                writer
                    .into_inner()
                    .map_err(|error| io::Error::other(error.to_string()))
            }
            Self::JsonLines => {
                let mut lines = Vec::new();
                for row in rows {
                    serde_json::to_writer(&mut lines, &row)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

/// The name of the last record of a file that does not hold all the rows; its value is the `before` of the next export.
const GO_ON: &str = "next_before";

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell
    }
}

/// `GET /admin/api/logs/export?format=&bom=&…`.
#[utoipa::path(
    get,
    path = "/admin/api/logs/export",
    summary = "Downloads the rows of a filter, newest first.",
    description = "A file holds 2,000,000 rows at most. When there are more, its last line says where to go on: `{\"next_before\": id}`, or in \
        CSV a record of `next_before`, the id and empty cells. The next export with `before=id` goes on there.",
    params(LogQuery),
    responses((
        status = 200,
        description = "The file.",
        content((String = "text/csv"), (String = "application/jsonl"))
    ))
)]
pub(super) async fn export(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    BearerToken(token): BearerToken,
    QueryString(query): QueryString<LogQuery>,
) -> Result<Response, Problem> {
    let format = Format::of(&query)?;
    let filter = query.filter(EXPORT_PAGE_ROWS)?;
    let Ok(place) = Arc::clone(&admin.exporting).try_acquire_owned() else {
        return Err(Problem::new(
            Code::StoreBusy,
            "Enough exports are under way; try again in a moment.",
        ));
    };
    let standing = Standing::new(&admin, caller, token);
    let export = Export {
        store: Arc::clone(&admin.intercepts),
        format,
        filter,
        rows_left: EXPORT_ROWS_MAX,
        next: Next::Page,
        _place: place,
    };
    let (media_type, ending) = format.describe();
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"sentinel-logs.{ending}\""),
        ),
    ];
    let rows = standing.while_it_holds(export.into_stream().await?);
    Ok((headers, Body::from_stream(rows)).into_response())
}

/// An export on its way.
struct Export {
    store: Arc<dyn InterceptStore>,
    format: Format,
    filter: InterceptFilter,
    rows_left: u64,
    next: Next,
    _place: OwnedSemaphorePermit,
}

/// What comes next in a file.
#[derive(Clone, Copy)]
enum Next {
    Page,
    /// As many rows as there may be are written, the last one with this id: are there more?
    Bound(i64),
    Nothing,
}

impl Export {
    /// The whole of it, piece by piece; each is made when the one before is taken. A store that does not answer at all is told at once.
    async fn into_stream(
        mut self,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static, StoreError> {
        let first = self.piece().await?;
        let first = std::iter::once(self.format.head()).chain(first);
        let first: Vec<_> = first.map(|piece| piece.map(Bytes::from)).collect();
        let rest = stream::try_unfold(self, async |mut export: Self| {
            let piece = export.piece().await.map_err(|error| {
                tracing::warn!(%error, "an export ended early");
                io::Error::other("the store failed")
            })?;
            Ok(piece.transpose()?.map(|piece| (Bytes::from(piece), export)))
        });
        Ok(stream::StreamExt::chain(stream::iter(first), rest))
    }

    async fn piece(&mut self) -> Result<Option<io::Result<Vec<u8>>>, StoreError> {
        match self.next {
            Next::Page => Ok(self.page().await?.map(|rows| self.format.rows(rows))),
            Next::Bound(last) => {
                self.next = Next::Nothing;
                self.filter.limit = 1;
                let more = self.store.list(self.filter.clone()).await?;
                Ok((!more.is_empty()).then(|| self.format.cut_before(last)))
            }
            Next::Nothing => Ok(None),
        }
    }

    async fn page(&mut self) -> Result<Option<Vec<InterceptView>>, StoreError> {
        self.filter.limit = EXPORT_PAGE_ROWS.min(u32::try_from(self.rows_left).unwrap_or(u32::MAX));
        let rows = self.store.list(self.filter.clone()).await?;
        self.rows_left -= rows.len() as u64;
        self.next = match rows.last() {
            Some(last) if self.rows_left == 0 => Next::Bound(last.id),
            Some(_) if rows.len() >= EXPORT_PAGE_ROWS as usize => Next::Page,
            _ => Next::Nothing,
        };
        self.filter.before = rows.last().map(|row| row.id);
        Ok((!rows.is_empty()).then(|| rows.into_iter().map(InterceptView::from).collect()))
    }
}

#[cfg(test)]
mod tests;
