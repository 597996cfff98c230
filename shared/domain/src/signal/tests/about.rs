//! What a signal shows, and when it says that it was: of the event or the day that it is about.

use super::*;

/// What each raise of a signal shows under a name; nothing where it is left out.
fn shown(told: &Told, signal: &str, name: &str) -> Vec<Value> {
    let of = told.raised.iter().filter(|raise| raise.signal == signal);
    of.map(|raise| raise.evidence.get(name).cloned().unwrap_or_default()).collect()
}

fn form(name: &str) -> Value {
    json!({"form": name})
}

#[test]
fn each_lead_names_the_form_that_was_sent_off_then() {
    let mut told = Told::new();
    told.fold("Form Submitted", &form("demo-request"), Span::MINUTE);
    told.fold("Form Submitted", &json!({}), Span::SECOND.times(30));
    told.fold("Form Submitted", &form("newsletter"), Span::ZERO);
    told.write();
    let forms = [json!("demo-request"), Value::Null, json!("newsletter")];
    assert_eq!(shown(&told, "Lead Submitted", "form"), forms);
    // One of a form that was sent off before, too.
    told.raised.clear();
    told.pass(HOUR).tell("Form Submitted", &form("demo-request"));
    assert_eq!(shown(&told, "Lead Submitted", "form"), [json!("demo-request")]);
}

#[test]
fn the_forms_of_leads_are_kept_under_the_first_ones_alone() {
    let mut told = Told::new();
    for n in 0..60 {
        told.tell("Form Submitted", &form(&format!("{n} {}", "x".repeat(100)))).pass(HOUR);
    }
    let forms = shown(&told, "Lead Submitted", "form");
    assert_eq!(forms.len(), NUMBERED_MAX);
    assert!(forms.last().unwrap().as_str().unwrap().starts_with("30 x"), "{forms:?}");
    let stored = serde_json::to_string(&told.root.facts().forms).unwrap();
    assert!(!stored.contains("\"40 x"), "of more the form is not kept");
    assert!(stored.len() < 6_000, "{} bytes", stored.len());
}

#[test]
fn each_complaint_says_what_it_is_about_itself() {
    let complaint = |id: u32, about: &str| json!({"complaint_id": id, "about": about});
    let mut told = Told::new();
    told.fold("Complaint Filed", &complaint(1, "late parcel"), Span::MINUTE.times(3));
    told.fold("Complaint Filed", &json!({"complaint_id": 2}), Span::MINUTE.times(2));
    told.fold("Complaint Filed", &complaint(3, "broken pole"), Span::MINUTE);
    // The first again, by another system, in other words.
    told.fold("Complaint Filed", &complaint(1, "shipping"), Span::ZERO);
    told.write();
    let abouts = [json!("late parcel"), Value::Null, json!("broken pole")];
    assert_eq!(shown(&told, "Complaint Received", "about"), abouts);
}

#[test]
fn what_an_earlier_release_stored_names_nothing_it_does_not_know() {
    let mut told = Told::new();
    told.fold("Form Submitted", &form("demo-request"), Span::MINUTE);
    told.fold("Complaint Filed", &json!({"about": "late parcel"}), Span::MINUTE);
    let mut stored = serde_json::to_value(&told.root).unwrap();
    let own = IdentityKey::from(Told::profile()).to_string();
    let facts = &mut stored["accumulators"][own]["facts"];
    assert!(facts["forms"].as_object_mut().unwrap().remove("fn").is_some());
    assert!(facts["support"].as_object_mut().unwrap().remove("kn").is_some());
    told.root = serde_json::from_value(stored).unwrap();
    told.fold("Form Submitted", &form("newsletter"), Span::ZERO);
    told.write();
    assert_eq!(shown(&told, "Lead Submitted", "form"), [Value::Null, json!("newsletter")]);
    assert_eq!(shown(&told, "Complaint Received", "about"), [Value::Null]);
}

#[test]
fn an_abandoned_registration_shows_no_earlier_attempt() {
    let left = json!({"form": "sign-up", "fields": 2, "seconds": 31});
    let mut told = Told::new();
    told.tell("Form Started", &form("sign-up")).tell("Form Abandoned", &left).pass(HOUR.times(2));
    told.tell("Form Started", &form("sign-up")).pass(HOUR.times(2));
    for name in ["fields", "seconds"] {
        let shown = shown(&told, "Registration Abandoned", name);
        assert_eq!(shown, [left[name].clone(), Value::Null], "{name}");
    }
}

fn video(id: &str) -> Value {
    json!({"content_asset_id": id, "title": id})
}

#[test]
fn a_binge_names_what_was_watched_on_its_day() {
    let mut told = Told::new();
    for (id, hours) in [("one", 3), ("two", 2), ("three", 1)] {
        told.fold("Video Content Started", &video(id), HOUR.times(hours));
    }
    // The day after, in the same write, and of one that was begun the day before.
    told.pass(DAY);
    told.fold("Video Content Started", &video("four"), Span::ZERO);
    told.fold("Video Content Playing", &video("three"), Span::ZERO);
    told.write();
    assert_eq!(shown(&told, "Binge Started", "titles"), [json!(["two", "one"])]);
}

/// A journey that a binge begins asks from then on what was done since.
#[test]
fn what_is_kept_by_day_is_never_dated_before_its_own_deeds() {
    let dwell = json!({"dwell": [{"category": "Tents", "seconds": 300}]});
    let since = |told: &Told, signal: &str| {
        told.raised.iter().find(|raise| raise.signal == signal).map(|raise| raise.since)
    };
    let deeds = |told: &mut Told, ago: Span| {
        told.fold("Page Left", &dwell, ago);
        for id in ["one", "two", "three"] {
            told.fold("Video Content Started", &video(id), ago);
        }
    };
    // On the day itself: the last deed of all.
    let mut told = Told::new();
    deeds(&mut told, HOUR);
    told.fold("Looked In", &json!({}), Span::MINUTE);
    told.write();
    for signal in ["Binge Started", "Interest Shown"] {
        assert_eq!(since(&told, signal), Some(told.now.minus(Span::MINUTE)), "{signal}");
    }
    // Somebody who came again since: the day's end, whatever that was and in whichever order.
    let end = NOON.plus(HOUR.times(12)).minus(Span::from_ms(1));
    for late in [false, true] {
        let mut told = Told::new();
        told.pass(DAY.times(2));
        if late {
            told.tell("Looked In", &json!({}));
        }
        deeds(&mut told, DAY.times(2));
        if !late {
            told.fold("Looked In", &json!({}), Span::ZERO);
        }
        told.write();
        for signal in ["Binge Started", "Interest Shown"] {
            assert_eq!(since(&told, signal), Some(end), "{signal}");
        }
    }
}

#[test]
fn a_renewal_that_is_found_after_its_date_is_not_due() {
    let renews = |at: Stamp| json!({"renews_at": at.to_string()});
    let due = |told: &mut Told| told.names().contains(&"Renewal Due".to_owned());
    // Told six days ago that it renews yesterday, or now; it arrives now.
    for ago in [DAY, Span::ZERO] {
        let mut told = Told::new();
        told.now = NOON.plus(DAY.times(6));
        told.late("Subscription Started", &renews(told.now.minus(ago)), DAY.times(6)).pass(DAY);
        assert!(!due(&mut told), "{ago} after it");
        assert_eq!(told.root.said.marks["Renewal Due/7d"].outcome, Outcome::Stale);
    }
    // As late, and the date is to come.
    let mut told = Told::new();
    told.late("Subscription Started", &renews(NOON.plus(HOUR)), DAY.times(6)).pass(DAY);
    assert!(due(&mut told));
}
