//! The statements on the audit table.

use jiff::Timestamp;
use sqlx::QueryBuilder;

use super::record::{AuditEntry, COLUMNS};
use crate::observe::code::Code;
use crate::store::backend::Db;
use crate::store::{MAX_PAGE, Store, StoreError};

/// Most entries that one read returns.
pub const MAX_RECENT: u32 = 1000;

/// Entries are counted up to here.
const MAX_COUNTED: u32 = 100_000;

/// Which entries to read; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Interface code.
    pub interface: Option<String>,
    /// Name of the principal.
    pub principal: Option<String>,
    pub code: Option<Code>,
    pub request_id: Option<String>,
    /// Calls that came in at this time or later.
    pub from: Option<Timestamp>,
    /// Calls that came in before this time.
    pub to: Option<Timestamp>,
    /// Somewhere in request id, interface, path, parameters, caller, address, code, status or error, whatever the case.
    pub text: Option<String>,
    /// Whether the call failed.
    pub is_failed: Option<bool>,
    /// Only entries older than the entry with this id: the last one of the page before.
    pub before_id: Option<i64>,
}

impl AuditFilter {
    fn condition(&self, query: &mut QueryBuilder<Db>) {
        let Self { interface, principal, code, request_id, text, is_failed, from, to, before_id } =
            self;
        query.push(" WHERE 1 = 1");
        if let Some(text) = text {
            query.push(
                " AND instr(lower(request_id || ' ' || interface || ' ' || path || ' ' || coalesce(params, '') || ' ' || \
                 principal || ' ' || coalesce(ip, '') || ' ' || code || ' ' || status || ' ' || coalesce(error, '')), ",
            );
            query.push_bind(text.to_lowercase()).push(") > 0");
        }
        if let Some(is_failed) = is_failed {
            query.push(if *is_failed { " AND code <> 'OK'" } else { " AND code = 'OK'" });
        }
        if let Some(interface) = interface {
            query.push(" AND interface = ").push_bind(interface.clone());
        }
        if let Some(principal) = principal {
            query.push(" AND principal = ").push_bind(principal.clone());
        }
        if let Some(code) = code {
            query.push(" AND code = ").push_bind(code.as_str());
        }
        if let Some(request_id) = request_id {
            query.push(" AND request_id = ").push_bind(request_id.clone());
        }
        if let Some(from) = from {
            query.push(" AND at >= ").push_bind(from.as_microsecond());
        }
        if let Some(to) = to {
            query.push(" AND at < ").push_bind(to.as_microsecond());
        }
        if let Some(id) = before_id {
            query
                .push(" AND (at, id) < (SELECT at, id FROM audit WHERE id = ")
                .push_bind(*id)
                .push(")");
        }
    }
}

impl Store {
    /// The newest matching entries first, at most `limit` and never more than [`MAX_RECENT`].
    pub async fn audit_recent(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(format!("SELECT id, {COLUMNS} FROM audit"));
        filter.condition(&mut query);
        query.push(" ORDER BY at DESC, id DESC LIMIT ").push_bind(i64::from(limit.min(MAX_RECENT)));
        let rows = query.build().fetch_all(&self.read).await?;
        Ok(rows.iter().map(AuditEntry::from_row).collect::<Result<_, _>>()?)
    }

    /// A page of the matching entries, the newest first, at most [`MAX_PAGE`] of them, and how many match, counted up to
    /// [`MAX_COUNTED`].
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        let mut count = QueryBuilder::<Db>::new("SELECT COUNT(*) FROM (SELECT 1 FROM audit");
        filter.condition(&mut count);
        count.push(" LIMIT ").push_bind(i64::from(MAX_COUNTED)).push(")");
        let total: i64 = count.build_query_scalar().fetch_one(&self.read).await?;
        let mut page = QueryBuilder::<Db>::new(format!("SELECT id, {COLUMNS} FROM audit"));
        filter.condition(&mut page);
        page.push(" ORDER BY at DESC, id DESC LIMIT ").push_bind(i64::from(limit.min(MAX_PAGE)));
        page.push(" OFFSET ").push_bind(i64::from(offset));
        let rows = page.build().fetch_all(&self.read).await?;
        let entries = rows.iter().map(AuditEntry::from_row).collect::<Result<_, _>>()?;
        Ok((entries, total.unsigned_abs()))
    }

    /// Deletes at most `limit` of the records that came in before `cutoff`; returns how many.
    pub(super) async fn expire_audit(
        &self,
        cutoff: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut delete = QueryBuilder::<Db>::new(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ",
        );
        delete
            .push_bind(cutoff.as_microsecond())
            .push(" ORDER BY at LIMIT ")
            .push_bind(i64::from(limit))
            .push(")");
        Ok(delete.build().execute(&self.write).await?.rows_affected())
    }
}
