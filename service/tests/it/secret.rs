//! A wrong secret: the replica lives, says why it is not ready, and never tells the secret.

use crate::world::World;

#[tokio::test]
async fn with_a_wrong_password_a_replica_is_never_ready_and_says_why() {
    let world = World::new().await;
    let url = world.user_with_password("guarded", "right").await;
    let wrong = world.start("wrong", &[("DATABASE_URL", &url("hunter2"))]);
    for _ in 0..2 {
        wrong.says("password authentication failed for user").await;
        let ready = wrong.get("/health/ready").await;
        assert_eq!((ready.status, wrong.get("/health").await.status), (503, 200));
        assert!(ready.text.contains("the database was not migrated yet"), "{}", ready.text);
    }
    wrong.says("the database was not migrated; trying again").await;
    let refused = wrong.get("/api/v1/experiments").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "database_unavailable"));
    assert!(!wrong.log().contains("hunter2"), "{}", wrong.log());
    // The same rules, another password.
    let right = world.ready("right", &[("DATABASE_URL", &url("right"))]).await;
    assert_eq!(right.get("/api/v1/experiments").await.status, 200);
}
