//! The statements that read a database's content. Data: whoever runs them gets one JSON text a line.

use super::Listed;
use crate::postgres::{identifier, literal};

/// Settings that a row's text depends on, and one snapshot for all that follows. Rows that a policy would hide are an error, as in pg_dump.
pub(crate) const PRELUDE: &str = "
set statement_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
set intervalstyle = 'postgres';
set extra_float_digits = 1;
set bytea_output = 'hex';
set xmlbinary = 'base64';
set lc_monetary = 'C';
set search_path = '';
set row_security = off;
begin isolation level repeatable read read only;
";

const OURS: &str = "nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp)'";

/// Lists the tables that hold rows, with their primary keys and columns.
pub(crate) fn catalogue() -> String {
    format!(
        "select json_build_object('schema', nspname, 'name', relname, 'key', (
            select coalesce(json_agg(attname order by place), '[]') from pg_index, unnest(indkey) with ordinality as part (number, place)
            join pg_attribute on attnum = number where indrelid = c.oid and indisprimary and attrelid = c.oid),
            'columns', (select coalesce(json_agg(attname order by attname collate \"C\"), '[]') from pg_attribute
            where attrelid = c.oid and attnum > 0 and not attisdropped))
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where relkind = 'r' and relpersistence <> 't' and {OURS}
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
        order by nspname, relname;\n"
    )
}

/// Digests of all that a database holds: tables cut into ranges, sequences, definitions.
pub(crate) fn digests(tables: &[Listed], ranges: u16) -> String {
    let tables: String = tables.iter().map(|table| digest(table, ranges.max(1))).collect();
    tables + &shape()
}

/// All but the rows: sequences, definitions.
pub(crate) fn shape() -> String {
    format!("{SEQUENCES}{}", definitions())
}

/// The rows of some ranges of a table: key and digest.
pub fn rows(table: &Listed, cut: u16, ranges: &[u16]) -> String {
    let ranges = ranges.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "{PRELUDE}
        select json_build_array(key, digest) from ({}) rows where range in ({ranges}) order by key collate \"C\";
        commit;\n",
        rows_of(table, cut)
    )
}

/// Every row of a table: key and digest.
pub(crate) fn all_rows(table: &Listed) -> String {
    format!("select json_build_array(key, digest) from ({}) rows;\n", rows_of(table, 1))
}

// `offset 0` keeps the planner from computing a digest once for each use.
fn rows_of(table: &Listed, cut: u16) -> String {
    let row = |columns: &[String]| {
        let columns = columns.iter().map(|name| format!("gauntlet_row.{}", identifier(name)));
        format!("row({})::text", columns.collect::<Vec<_>>().join(", "))
    };
    let own = row(&table.columns);
    let key = if table.key.is_empty() { own.clone() } else { row(&table.key) };
    format!(
        "select key, digest, (('x' || substr(md5(key), 1, 8))::bit(32)::bigint % {cut})::int as range
         from (select {key} as key, md5({own}) as digest from only {} gauntlet_row offset 0) hashed offset 0",
        qualified(table)
    )
}

fn qualified(table: &Listed) -> String {
    format!("{}.{}", identifier(&table.schema), identifier(&table.name))
}

fn digest(table: &Listed, cut: u16) -> String {
    let listed = serde_json::json!(table).to_string();
    format!(
        "select json_build_object('is', 'table', 'name', format('%I.%I', {}, {}), 'listed', {}::json, 'cut', {cut},
            'rows', coalesce(sum(rows), 0), 'ranges', coalesce(json_agg(json_build_array(range, rows, sum) order by range), '[]'))
        from (
            select range, count(*) as rows, sum(('x' || substr(digest, 1, 16))::bit(64)::bigint)::text || ' '
                || sum(('x' || substr(digest, 17, 16))::bit(64)::bigint)::text as sum
            from ({}) rows group by range) ranges;\n",
        literal(&table.schema),
        literal(&table.name),
        literal(&listed),
        rows_of(table, cut),
    )
}

const SEQUENCES: &str = "
select json_build_object('is', 'sequence', 'name', format('%I.%I', schemaname, sequencename), 'last', last_value, 'by', increment_by, 'cycles', cycle)
from pg_sequences order by schemaname, sequencename;
";

// Kind and name, and the definition as PostgreSQL prints it; an index that cannot be used says so.
fn definitions() -> String {
    let relations = format!("pg_class c join pg_namespace n on n.oid = relnamespace and {OURS}");
    format!(
        "select json_build_object('is', 'definition', 'name', kind || ' ' || name, 'text', text) from (
            select 'constraint', conrelid::regclass || ' ' || conname, pg_get_constraintdef(o.oid)
            from pg_constraint o join {relations} on c.oid = conrelid
            union all
            select 'index', indexrelid::regclass::text,
                pg_get_indexdef(indexrelid) || case when indisvalid and indisready then '' else ' -- INVALID' end
            from pg_index join {relations} on c.oid = indrelid
            union all
            select 'column', attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod)
                || case when attnotnull then ' not null' else '' end || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
            from pg_attribute join {relations} on c.oid = attrelid
            left join pg_attrdef on adrelid = attrelid and adnum = attnum
            where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm')
            union all
            select 'trigger', tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(t.oid) || ' -- ' || tgenabled::text
            from pg_trigger t join {relations} on c.oid = tgrelid where not tgisinternal
            union all
            select 'view', c.oid::regclass::text, pg_get_viewdef(c.oid) from {relations} where relkind in ('v', 'm')
            union all
            select 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
            from pg_proc p join pg_namespace n on n.oid = pronamespace and {OURS} where prokind in ('f', 'p')
              and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
            union all
            select 'extension', extname, extversion from pg_extension
        ) found (kind, name, text) order by kind, name;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Listed, rows};

    #[test]
    fn names_are_quoted_in_every_statement() {
        let table = Listed {
            schema: "a\"b".into(),
            name: "it's".into(),
            key: vec!["Key".into()],
            columns: vec!["Key".into(), "x".into()],
        };
        let sql = rows(&table, 4, &[1, 3]);
        assert!(sql.contains("from only \"a\"\"b\".\"it's\" gauntlet_row"), "{sql}");
        assert!(sql.contains("md5(row(gauntlet_row.\"Key\", gauntlet_row.\"x\")::text)"), "{sql}");
        assert!(sql.contains("row(gauntlet_row.\"Key\")::text") && sql.contains("range in (1, 3)"), "{sql}");
    }
}
