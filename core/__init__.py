"""The engine: baskets, orders, payments, and the floors they stand on."""
