// A private endpoint, and the DNS zone that leads to it, for each service of the account and for the vault.
param location string
param tags object
param subnetId string
param networkId string
param storageId string
param vaultId string

var suffix = environment().suffixes.storage
var places = [
  {
    name: 'blob'
    target: storageId
    zone: 'privatelink.blob.${suffix}'
  }
  {
    name: 'queue'
    target: storageId
    zone: 'privatelink.queue.${suffix}'
  }
  {
    name: 'table'
    target: storageId
    zone: 'privatelink.table.${suffix}'
  }
  {
    name: 'vault'
    target: vaultId
    zone: 'privatelink.vaultcore.azure.net'
  }
]

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = [for place in places: {
  name: place.zone
  location: 'global'
  tags: tags
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (place, i) in places: {
  parent: zone[i]
  name: 'millstream'
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: networkId
    }
  }
}]

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = [for place in places: {
  name: 'pe-${place.name}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: place.name
        properties: {
          privateLinkServiceId: place.target
          groupIds: [
            place.name
          ]
        }
      }
    ]
  }
}]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for (place, i) in places: {
  parent: endpoint[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: place.name
        properties: {
          privateDnsZoneId: zone[i].id
        }
      }
    ]
  }
}]
