//! The OpenAPI document is what is committed, and what is served.

use crate::world::World;

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_committed() {
    let world = World::without_postgres().await;
    let served = world.start("one", &[]).get("/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    let committed = include_str!("../../openapi.json");
    assert!(served.text == committed, "run: causal-service openapi > service/openapi.json");
}
