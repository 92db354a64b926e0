// domain/orders
