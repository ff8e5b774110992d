//! A Redis cluster of three masters, each with a third of the slots. Must never be handed out before every node finds
//! it whole.

use super::builder::Role;
use super::{RedisBuilder, RedisServer};
use crate::process::HeldPort;

/// How many slots the keys are spread over (Redis cluster specification).
const SLOTS: usize = 16_384;
const NODES: usize = 3;

/// Three masters, for as long as this value lives. A node that is killed takes its slots with it, and brings them back.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts a cluster with the defaults and waits until it serves.
    pub async fn start() -> Self {
        RedisServer::builder().start_cluster().await
    }

    pub(super) async fn of(builder: RedisBuilder) -> Self {
        let mut nodes = Vec::with_capacity(NODES);
        for _ in 0..NODES {
            let bus = HeldPort::new();
            nodes.push(builder.clone().launch(Role::ClusterNode { bus }).await);
        }
        let cluster = Self { nodes };
        for (index, node) in cluster.nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            let first = (index * SLOTS).div_ceil(NODES).to_string();
            let last = (((index + 1) * SLOTS).div_ceil(NODES) - 1).to_string();
            let () = node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            let () = node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
            for other in &cluster.nodes[..index] {
                other.meet(node).await;
            }
        }
        cluster.whole().await;
        cluster
    }

    /// The nodes, in the order of their slots.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The nodes' URLs: any of them is a way in.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The node that has the slot of `key`.
    pub async fn owner_of(&self, key: &str) -> &RedisServer {
        let mut running = self.nodes.iter().filter(|node| node.process.runs());
        let asked = running.next().expect("a node that runs");
        let slot: usize = asked.command(&["CLUSTER", "KEYSLOT", key]).await;
        &self.nodes[slot * NODES / SLOTS]
    }

    /// Waits until every node finds the cluster whole.
    pub async fn whole(&self) {
        for node in &self.nodes {
            let sees = async || {
                let nodes = node.try_cluster_info("cluster_known_nodes").await;
                let state = node.try_cluster_info("cluster_state").await;
                nodes.is_ok_and(|nodes| nodes == NODES.to_string()) && state.is_ok_and(|state| state == "ok")
            };
            node.process.until(sees).await;
        }
    }

    /// Waits until every node that runs finds slots missing and refuses commands.
    pub async fn broken(&self) {
        for node in self.nodes.iter().filter(|node| node.process.runs()) {
            let sees = async || {
                let state = node.try_cluster_info("cluster_state").await;
                state.is_ok_and(|state| state == "fail")
            };
            node.process.until(sees).await;
        }
    }
}

impl RedisServer {
    async fn meet(&self, other: &Self) {
        let Role::ClusterNode { bus } = &other.role else {
            panic!("only nodes of a cluster meet")
        };
        let (address, bus) = (other.address(), bus.address().port().to_string());
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let () = self.command(&["CLUSTER", "MEET", &ip, &port, &bus]).await;
    }
}
