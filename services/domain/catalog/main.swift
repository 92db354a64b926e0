// domain/catalog
