//! What the controllers of a cluster say of a namespace, a line each.

use gauntlet_core::port::Trouble;
use k8s_openapi::{api::core::v1::Event, jiff::Timestamp};
use kube::{Api, Client, api::ListParams};

use crate::api::patience::ask;

/// All events of a namespace, oldest first: when, how often, what kind, of which object, and why.
pub(crate) async fn told(client: &Client, namespace: &str) -> Result<String, Trouble> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default();
    let list = ask(format!("list the events of {namespace}"), || events.list(&all)).await?;
    Ok(lines(list.items))
}

fn lines(mut events: Vec<Event>) -> String {
    events.sort_by_key(at);
    events.iter().map(line).collect()
}

fn line(event: &Event) -> String {
    let when = at(event).map_or("-".to_owned(), |at| format!("{at:.0}"));
    let of = &event.involved_object;
    let (kind, name) = (of.kind.as_deref().unwrap_or("-"), of.name.as_deref().unwrap_or("-"));
    let often = event.count.filter(|count| *count > 1).map(|count| format!(" ({count} times)"));
    let message = event.message.as_deref().unwrap_or_default().replace('\n', " ");
    format!(
        "{when} {} {} {kind}/{name}: {message}{}\n",
        event.type_.as_deref().unwrap_or("-"),
        event.reason.as_deref().unwrap_or("-"),
        often.unwrap_or_default(),
    )
}

/// When it happened last. Which field says so depends on who wrote it.
fn at(event: &Event) -> Option<Timestamp> {
    let series =
        event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let exact = event.event_time.as_ref().map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    series.or(last).or(exact).or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Event, lines};

    #[test]
    fn events_are_lines_in_the_order_of_time_whoever_wrote_them() {
        let event = |more: serde_json::Value| -> Event {
            let mut event = json!({ "metadata": {}, "type": "Warning", "reason": "Unhealthy", "message": "probe\nfailed",
                "involvedObject": { "kind": "Pod", "name": "web-1" } });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(event).unwrap()
        };
        let text = lines(vec![
            event(json!({ "lastTimestamp": "2026-01-01T00:00:09Z", "count": 3 })),
            event(
                json!({ "eventTime": "2026-01-01T00:00:02.500000Z", "type": "Normal", "reason": "Scheduled" }),
            ),
        ]);
        let expected = "2026-01-01T00:00:02Z Normal Scheduled Pod/web-1: probe failed\n\
                        2026-01-01T00:00:09Z Warning Unhealthy Pod/web-1: probe failed (3 times)\n";
        assert_eq!(text, expected);
    }
}
