"""A map on which similar items are close: layout, colours and picture."""

from reelated.map.item_map import ItemMap
from reelated.map.picture import draw

__all__ = ["ItemMap", "draw"]
