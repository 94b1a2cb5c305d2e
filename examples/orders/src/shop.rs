use std::net::SocketAddr;
use std::path::Path;

use es_runtime::prelude::*;
use es_runtime::store::Compare;
use es_sqlite::SqliteStore;

use crate::fulfilment::Fulfilment;
use crate::order::PlaceOrder;
use crate::stock::OpenStock;
use crate::{Article, OrderNumber, OrderView, ShopError, mail, outside};

/// A shop in one file, with all that works in it.
pub struct Shop {
    runtime: Runtime,
}

impl Shop {
    /// Opens `file`, fulfils the orders in it, and sends mails by the SMTP server at `smtp`.
    pub async fn open(file: &Path, smtp: SocketAddr) -> Result<Self, ShopError> {
        let runtime = Runtime::builder(SqliteStore::open(file).await?)
            .projection::<OrderView>()
            .process_manager::<Fulfilment>(Beginning::Start)
            .start()
            .await?;
        outside::start(&runtime).await?;
        mail::start(&runtime, smtp).await?;
        Ok(Self { runtime })
    }

    /// Opens the stock of an article. The second time nothing happens.
    pub async fn open_stock(&self, article: &Article, quantity: u32) -> Result<(), ShopError> {
        let key = format!("stock {article}");
        let opened = self.runtime.execute(article, OpenStock { quantity });
        opened.idempotency_key(key).await?;
        Ok(())
    }

    /// Places an order. The second time nothing happens.
    pub async fn place(&self, number: OrderNumber, order: PlaceOrder) -> Result<(), ShopError> {
        let key = format!("place {number}");
        self.runtime.execute(number, order).idempotency_key(key).await?;
        Ok(())
    }

    /// The number of orders that are settled.
    pub async fn settled(&self) -> Result<u64, ShopError> {
        let settled = self.runtime.list::<OrderView>().filter("settled", Compare::Equal, true);
        Ok(settled.count().await?)
    }

    /// The orders, by their numbers.
    pub async fn orders(&self) -> Result<Vec<(OrderNumber, OrderView)>, ShopError> {
        let head = self.runtime.store().head().await?;
        let (mut orders, mut after) = (Vec::new(), None);
        loop {
            let mut list = self.runtime.list::<OrderView>().limit(100).after(head);
            if let Some(after) = after {
                list = list.page(after);
            }
            let page = list.await?;
            for row in page.rows {
                orders.push((row.key.parse()?, row.row));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        orders.sort_by_key(|(number, _)| *number);
        Ok(orders)
    }

    /// Describes the state of all that works in the shop, with its last errors.
    pub async fn status(&self) -> Result<String, ShopError> {
        let health = self.runtime.health().await?;
        let all = health.process_managers.iter().chain(&health.subscriptions);
        let lines = all.map(|is| {
            let error = is.last_error.as_ref().map_or("", |failure| failure.error.as_str());
            format!("{} {:?}, {} parked {error}", is.name, is.status, is.parked)
        });
        Ok(lines.collect::<Vec<_>>().join("; "))
    }

    /// Closes the file.
    pub async fn close(self) -> Result<(), ShopError> {
        self.runtime.shutdown().await?;
        Ok(())
    }
}
