package struct SRTPKeyMaterial: ~Copyable, Sendable {}
