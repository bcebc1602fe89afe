"""How dates are written where no page says otherwise: one package per language. Knows nothing of what is dated."""
