"""How long injuries and systemic episodes last."""
