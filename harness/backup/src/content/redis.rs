//! What a Redis server holds: the digest of every key's value, read page by page while others write.
//!
//! A key's prefix, up to its first colon, stands where a table does: keys of one prefix are used alike. The digest is the SHA-1 of the
//! value as commands show it, not as it is stored, which a restart may change; fields of hashes and members of sets are sorted first.
//! A type of a module is digested as `DUMP` gives it.

use std::collections::BTreeMap;

use super::Rows;
use crate::{
    call::{Call, Programs},
    error::Error,
    form::redis::Server,
    pipe::ask,
};

/// Prints `db key digest expires` for every key, then the server's time, in seconds and microseconds.
const READ: &str = r#"
page=$1; shift
redis-cli "$@" info keyspace | sed -n 's/^db\([0-9]*\):.*/\1/p' | while read -r db; do
    cursor=0
    while :; do
        found=$(redis-cli "$@" -n "$db" --raw eval "$page" 0 "$cursor")
        printf '%s\n' "$found" | sed "1d; s/^/$db /"
        cursor=$(printf '%s\n' "$found" | sed -n 1p)
        if [ "$cursor" = 0 ]; then break; fi
    done
done
now=$(redis-cli "$@" --raw time)
echo $now"#;

/// One page of keys: the next cursor, then a line for each. What is no printable ASCII in a key is written as `\x` and two digits.
const PAGE: &str = r#"
local page = redis.call('scan', ARGV[1], 'count', 500)
local lines = { page[1] }
local now = redis.call('time')
local ask = {
    string = { 'get' }, list = { 'lrange', 0, -1 }, hash = { 'hgetall' }, set = { 'smembers' },
    zset = { 'zrange', 0, -1, 'withscores' }, stream = { 'xrange', '-', '+' },
}
for _, key in ipairs(page[2]) do
    local kind = redis.call('type', key).ok
    if kind ~= 'none' then
        local how = ask[kind] or { 'dump' }
        local value = redis.call(how[1], key, unpack(how, 2))
        if kind == 'hash' then
            local fields = {}
            for at = 1, #value, 2 do fields[#fields + 1] = cmsgpack.pack({ value[at], value[at + 1] }) end
            value = fields
        end
        if kind == 'hash' or kind == 'set' then table.sort(value) end
        local left, expires = redis.call('pttl', key), 0
        if left >= 0 then expires = now[1] * 1000 + math.floor(now[2] / 1000) + left end
        local name = key:gsub('[\\%c \127-\255]', function(c) return string.format('\\x%02x', c:byte()) end)
        lines[#lines + 1] = string.format('%s %s %.0f', name, redis.sha1hex(kind .. cmsgpack.pack(value)), expires)
    end
end
return lines"#;

impl Rows {
    /// Reads the keys of a Redis server.
    pub async fn read_keys(server: &Server, programs: &dyn Programs) -> Result<Self, Error> {
        let (mut call, each) = (Call::shell(READ, [PAGE]), server.call([]));
        call.args.extend(each.args);
        call.secrets = each.secrets;
        parse(&ask(programs, &call, "").await?)
    }
}

fn parse(said: &str) -> Result<Rows, Error> {
    let wrong = |line: &str| Error::at("redis-cli", format!("{line:?}"), "look at the server's log");
    let (mut prefixes, mut rows) = (BTreeMap::<String, BTreeMap<String, String>>::new(), Rows::default());
    for line in said.lines() {
        let parts: Vec<_> = line.split(' ').collect();
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong(line));
        match parts[..] {
            [db, key, digest, expires] => {
                let prefix = key.split_once(':').map_or("", |(prefix, _)| prefix);
                let prefix = format!("db{db}:{prefix}");
                let expires = number(expires)?;
                if expires > 0 {
                    rows.expires.entry(prefix.clone()).or_default().insert(key.to_owned(), expires);
                }
                // A scan may show a key twice.
                prefixes.entry(prefix).or_default().insert(key.to_owned(), digest.to_owned());
            }
            [seconds, micros] => rows.read = number(seconds)? * 1000 + number(micros)? / 1000,
            _ => return Err(wrong(line)),
        }
    }
    let line = |row| serde_json::to_string(&row).map_err(|why| Error::at("a key", why, "report it"));
    for (prefix, keys) in prefixes {
        rows.tables.insert(prefix, keys.into_iter().map(line).collect::<Result<_, _>>()?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn keys_are_told_by_prefix_with_their_expiry() {
        let said = "0 ate:\\x00: aa 1500\n0 ate:b bb 0\n0 ate:b bb 0\n1 plain cc 0\n1 2000\n";
        let rows = parse(said).unwrap();
        assert_eq!(rows.read, 1000 + 2);
        assert_eq!(rows.tables["db0:ate"], [r#"["ate:\\x00:","aa"]"#, r#"["ate:b","bb"]"#]);
        assert_eq!(rows.tables["db1:"], [r#"["plain","cc"]"#]);
        assert_eq!(
            rows.expires.into_iter().collect::<Vec<_>>(),
            [("db0:ate".into(), [("ate:\\x00:".into(), 1500)].into())]
        );
        assert!(parse("NOPERM").is_err());
    }
}
