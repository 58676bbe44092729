// error: 'key' used after consume
import Handoff
import NetBase

func rekey(_ box: Mailbox<SecretBytes>) {
  let key = SecretBytes(count: 30)
  box.post(key)
  print(key.count)
}
