-- 订单明细：query of order_list.yaml. A file of its own keeps SQL tools and reviews happy.
SELECT order_id, created_at, store_id, product_id, quantity, amount, channel
FROM fact_sales
WHERE store_id = :storeId
  AND created_at >= :createdFrom AND created_at < :createdTo
  AND (:channel IS NULL OR channel = :channel)
ORDER BY created_at, order_id
