/// The phrase that goes with a status code (RFC 3261 §21).
enum ReasonPhrase {
  static func of(_ status: Int) -> String {
    switch status {
    case 100: "Trying"
    case 180: "Ringing"
    case 181: "Call Is Being Forwarded"
    case 182: "Queued"
    case 183: "Session Progress"
    case 200: "OK"
    case 300: "Multiple Choices"
    case 301: "Moved Permanently"
    case 302: "Moved Temporarily"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 407: "Proxy Authentication Required"
    case 413: "Request Entity Too Large"
    case 415: "Unsupported Media Type"
    case 416: "Unsupported URI Scheme"
    case 420: "Bad Extension"
    case 480: "Temporarily Unavailable"
    case 423: "Interval Too Brief"
    case 481: "Call/Transaction Does Not Exist"
    case 482: "Loop Detected"
    case 483: "Too Many Hops"
    case 486: "Busy Here"
    case 487: "Request Terminated"
    case 488: "Not Acceptable Here"
    case 491: "Request Pending"
    case 500: "Server Internal Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "Version Not Supported"
    case 600: "Busy Everywhere"
    case 603: "Decline"
    case 606: "Not Acceptable"
    default:
      switch status {
      case ..<200: "Progress"
      case ..<300: "OK"
      case ..<400: "Redirection"
      case ..<500: "Request Failure"
      case ..<600: "Server Failure"
      default: "Global Failure"
      }
    }
  }
}
