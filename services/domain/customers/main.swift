// domain/customers
