// error: 'keys' is borrowed and cannot be consumed
import SRTPEngine

/// One owner: a second one would free the same contexts.
func copy(_ keys: borrowing InboundKeys) -> InboundKeys {
  keys
}
