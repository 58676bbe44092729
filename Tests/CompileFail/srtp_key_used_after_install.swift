// error: 'material' used after consume
import NetBase
import SRTPEngine

func rekey(_ keys: inout InboundKeys, _ material: consuming SRTPKeyMaterial, now: Instant) throws {
  try keys.install(material, now: now)
  print(material.profile)
}
